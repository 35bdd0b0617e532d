//! What a model listens through, in C. What it computes is defined by the engine's `audio.rs`.

use kinglet::Model;

use super::arrays::Array;
use super::fill;
use crate::data::Written;
use crate::data::audio::Audio;
use crate::export::portable::Numbers;
use crate::model_file::input_names;

/// The functions, their declarations, and what of it is left to the caller; empty for a model that does not listen.
#[derive(Default)]
pub(super) struct Listen {
    pub(super) header: String,
    pub(super) arrays: Vec<Array>,
    pub(super) source: String,
    /// Of RAM for what has been heard.
    pub(super) bytes: usize,
    pub(super) notes: Vec<String>,
}

pub(super) fn functions(name: &str, model: &Model<'_>, written: &Written) -> Listen {
    let upper = name.to_uppercase();
    let keys = [("model", name.to_owned()), ("MODEL", upper)];
    if let Some(rate) = written.rate {
        let header = format!("\n/* Samples a second. */\n#define $MODEL_RATE {rate}\n");
        return Listen {
            header: fill(&header, &keys),
            ..Listen::default()
        };
    }
    let Some(audio) = &written.audio else {
        return Listen::default();
    };
    let Some(front) = audio.front().ok().filter(|_| takes_rows(model, audio)) else {
        return Listen {
            notes: vec![
                "the C has the network and not the front end that it listens through, as it takes other numbers too than that gives: \
                 compute the rows of log-mel energies as kinglet::audio::LogMel does"
                    .to_owned(),
            ],
            ..Listen::default()
        };
    };
    let settings = audio.settings();
    // Two frames, and two words.
    let bytes = settings.frame * 8 + 8;
    let values = [
        ("RATE", settings.rate.to_string()),
        ("FRAME", settings.frame.to_string()),
        ("HOP", settings.hop.to_string()),
        ("LOW", settings.low.to_string()),
        ("HIGH", settings.high.to_string()),
        ("BYTES", bytes.to_string()),
    ];
    let values = [&keys[..], &values].concat();
    let corners: Vec<f32> = (0..settings.bands + 2).map(|k| front.corner(k)).collect();
    let turns: Vec<f32> = front.turns().flatten().collect();
    let arrays = vec![
        Array::new(
            "turn",
            &[settings.frame / 4, 2],
            &Numbers::F32(turns),
            "cos and sin of a quarter of a turn",
        ),
        Array::new(
            "corner",
            &[settings.bands + 2],
            &Numbers::F32(corners),
            "where a band begins, the one before it peaks and the one before that ends, in steps of the transform's frequencies",
        ),
    ];
    Listen {
        header: fill(HEADER, &values),
        arrays,
        source: fill(SOURCE, &values),
        bytes,
        notes: Vec::new(),
    }
}

/// Whether a sample of the model is a row of the front end.
fn takes_rows(model: &Model<'_>, audio: &Audio) -> bool {
    let names = audio.names();
    let inputs = input_names(model);
    inputs.len() == names.len()
        && inputs
            .iter()
            .zip(&names)
            .all(|(input, name)| input.0 == name)
}

const HEADER: &str = "
/* This model listens: samples of sound a second, of a frame, and from one frame to the next. */
#define $MODEL_RATE $RATE
#define $MODEL_FRAME $FRAME
#define $MODEL_FRAME_HOP $HOP

/* What has been heard: $BYTES bytes. All zero at first. */
typedef struct {
    float heard[$MODEL_FRAME]; /* the last samples, the oldest one at `oldest` */
    float work[$MODEL_FRAME];  /* while a frame is transformed */
    uint32_t oldest;
    uint32_t until; /* samples to the end of the next frame, less $MODEL_FRAME */
} $model_ear;

/* Silence again. */
void $model_ear_reset($model_ear *ear);

/* A sample of sound in, full scale 1 (of 16 bits: divide by 32768); 1 if a frame ended with it, and then what the network takes out. */
int $model_hear($model_ear *ear, float sample, float row[$MODEL_INPUTS]);
";

const SOURCE: &str = "
/* Turns b back by an angle; b' = a - b and a' = a + b. */
static void butterfly(float *a, float *b, float c, float s)
{
    const float re = b[0] * c + b[1] * s;
    const float im = b[1] * c - b[0] * s;
    b[0] = a[0] - re;
    b[1] = a[1] - im;
    a[0] += re;
    a[1] += im;
}

/* A sample of the frame under Hann's window, (1 - cos) / 2. */
static float windowed(const $model_ear *ear, uint32_t at)
{
    const uint32_t quadrant = at / ($MODEL_FRAME / 4);
    const float found = turn[at % ($MODEL_FRAME / 4)][quadrant & 1];
    const float cosine = ((quadrant + 1) & 2) != 0 ? -found : found;
    return ear->heard[(ear->oldest + at) % $MODEL_FRAME] * (0.5f - 0.5f * cosine);
}

/* Energies of the frequencies 0 to $MODEL_FRAME / 2 - 1, each at twice its number, by a transform of half the length on pairs of samples. */
static void transform($model_ear *ear)
{
    const uint32_t half = $MODEL_FRAME / 2;
    float *x = ear->work;
    for (uint32_t k = 0; k < half; k++) {
        uint32_t number = 0; /* the bits of k, reversed */
        for (uint32_t bit = 1, mirror = half / 2; bit < half; bit *= 2, mirror /= 2) {
            number |= (k & bit) != 0 ? mirror : 0;
        }
        x[2 * k] = windowed(ear, 2 * number);
        x[2 * k + 1] = windowed(ear, 2 * number + 1);
    }
    for (uint32_t k = 0; k < half; k += 2) {
        butterfly(x + 2 * k, x + 2 * k + 2, 1.0f, 0.0f);
    }
    for (uint32_t quarter = 1, step = $MODEL_FRAME / 4; 2 * quarter < half; quarter *= 2, step /= 2) {
        for (uint32_t block = 0; block < half; block += 4 * quarter) {
            for (uint32_t k = 0; k < quarter; k++) {
                const float c = turn[k * step][0];
                const float s = turn[k * step][1];
                float *a = x + 2 * (block + k);
                butterfly(a, a + 4 * quarter, c, s);
                butterfly(a + 2 * quarter, a + 6 * quarter, -s, c);
            }
        }
    }
    /* Frequencies i and half - i come from the same two pairs. */
    const float sum = x[0] + x[1];
    x[0] = sum * sum;
    for (uint32_t i = 1; i < half / 2; i++) {
        float *p = x + 2 * i;
        float *q = x + 2 * (half - i);
        const float c = turn[i][0];
        const float s = turn[i][1];
        const float even_re = 0.5f * (p[0] + q[0]);
        const float even_im = 0.5f * (p[1] - q[1]);
        const float odd_re = 0.5f * (p[1] + q[1]);
        const float odd_im = 0.5f * (q[0] - p[0]);
        const float re = odd_re * c + odd_im * s;
        const float im = odd_im * c - odd_re * s;
        p[0] = (even_re + re) * (even_re + re) + (even_im + im) * (even_im + im);
        q[0] = (even_re - re) * (even_re - re) + (even_im - im) * (even_im - im);
    }
    x[half] = x[half] * x[half] + x[half + 1] * x[half + 1];
}

/* ln max(e, 1e-6), where e sums the energies under a triangle from one corner to the next but one. Between two corners one band falls
 * and the next one rises. */
static void measure(const float *energies, float row[$MODEL_INPUTS])
{
    float falling = 0.0f;
    for (int number = 0; number <= $MODEL_INPUTS; number++) {
        const float from = corner[number];
        const float to = corner[number + 1];
        const float scale = 1.0f / (to - from);
        float fallen = falling;
        float risen = 0.0f;
        uint32_t at = (uint32_t)from;
        at += (float)at < from ? 1 : 0;
        for (; at < $MODEL_FRAME / 2 && (float)at < to; at++) {
            fallen += (to - (float)at) * scale * energies[2 * at];
            risen += ((float)at - from) * scale * energies[2 * at];
        }
        if (number > 0) {
            row[number - 1] = logarithm(fallen > 1e-6f ? fallen : 1e-6f);
        }
        falling = risen;
    }
}

void $model_ear_reset($model_ear *ear)
{
    for (int i = 0; i < $MODEL_FRAME; i++) {
        ear->heard[i] = 0.0f;
    }
    ear->oldest = 0;
    ear->until = 0;
}

int $model_hear($model_ear *ear, float sample, float row[$MODEL_INPUTS])
{
    ear->heard[ear->oldest] = sample;
    ear->oldest = (ear->oldest + 1) % $MODEL_FRAME;
    /* Modulo 2^32. */
    ear->until--;
    if (ear->until + $MODEL_FRAME != 0) {
        return 0;
    }
    ear->until += $MODEL_FRAME_HOP;
    transform(ear);
    measure(ear->work, row);
    return 1;
}
";
