/* What kinglet.h promises, of six models: the line of the first claim that does not hold, or 0. The digest is that of the first. */
#include "../kinglet.h"
#include "lstm_model.h"
#include "tokens_model.h"
#include "bidirectional_model.h"
#include "sentence_model.h"
#include "encoder_model.h"
#include "decoder_model.h"

#define CLAIM(holds) do { if (!(holds)) return __LINE__; } while (0)
#define SAVED 4096

static kgl_model model;
static kgl_model encoder;
KGL_ALIGNED static uint8_t reader[ENCODER_STATE_SIZE];
KGL_ALIGNED static uint8_t stream[8192];
KGL_ALIGNED static uint8_t damaged[LSTM_MODEL_SIZE + 1];
static uint8_t saved[SAVED];
static float window[BIDIRECTIONAL_WINDOW * BIDIRECTIONAL_INPUTS];
static size_t sentence[SENTENCE_WINDOW];

static int samples(uint32_t *digest)
{
    float in[LSTM_INPUTS], first[LSTM_OUTPUTS], out[LSTM_OUTPUTS];
    int16_t in_q[LSTM_INPUTS], out_q[LSTM_OUTPUTS];
    kgl_model *none = NULL;
    for (size_t i = 0; i < LSTM_INPUTS; i++) {
        in[i] = 0.25f * (float)i;
        in_q[i] = (int16_t)(i + 1);
    }
    CLAIM(kgl_abi() == KGL_ABI);
    CLAIM(kgl_model_open(none, KGL_ABI, lstm_model, LSTM_MODEL_SIZE) == KGL_NULL);
    CLAIM(kgl_model_open(&model, KGL_ABI, NULL, LSTM_MODEL_SIZE) == KGL_NULL);
    CLAIM(kgl_model_open(&model, KGL_ABI + 1, lstm_model, LSTM_MODEL_SIZE) == KGL_ABI_MISMATCH);
    CLAIM(kgl_inputs(&model) == 0 && kgl_state_size(&model) == 0);
    CLAIM(kgl_reset(&model, stream, sizeof stream) == KGL_NOT_OPEN);
    CLAIM(kgl_step(&model, stream, sizeof stream, in, LSTM_INPUTS, out, LSTM_OUTPUTS) == KGL_NOT_OPEN);
    CLAIM(kgl_model_open(&model, KGL_ABI, lstm_model, 0) == KGL_FILE_DAMAGED);
    CLAIM(kgl_model_open(&model, KGL_ABI, lstm_model, LSTM_MODEL_SIZE - 1) == KGL_FILE_DAMAGED);
    CLAIM(kgl_model_open(&model, KGL_ABI, lstm_model, SIZE_MAX) == KGL_LENGTH);
    for (size_t i = 0; i < LSTM_MODEL_SIZE; i++) {
        damaged[i] = lstm_model[i];
    }
    damaged[LSTM_MODEL_SIZE / 2] ^= 1;
    CLAIM(kgl_model_open(&model, KGL_ABI, damaged, LSTM_MODEL_SIZE) == KGL_FILE_DAMAGED);
    damaged[0] ^= 1;
    CLAIM(kgl_model_open(&model, KGL_ABI, damaged, LSTM_MODEL_SIZE) == KGL_NOT_A_MODEL);
    for (size_t i = LSTM_MODEL_SIZE; i > 0; i--) {
        damaged[i] = lstm_model[i - 1];
    }
    CLAIM(kgl_model_open(&model, KGL_ABI, damaged + 1, LSTM_MODEL_SIZE) == KGL_FILE_MISALIGNED);

    CLAIM(kgl_model_open(&model, KGL_ABI, lstm_model, LSTM_MODEL_SIZE) == KGL_OK);
    CLAIM(kgl_inputs(&model) == LSTM_INPUTS && kgl_outputs(&model) == LSTM_OUTPUTS);
    CLAIM(kgl_state_size(&model) == LSTM_STATE_SIZE && kgl_window(&model) == 0);
    CLAIM(kgl_saved_size(&model) > 0 && kgl_saved_size(&model) <= SAVED && kgl_input_frac(&model) == 7);
    CLAIM(kgl_reset(&model, NULL, sizeof stream) == KGL_NULL);
    CLAIM(kgl_reset(&model, stream, LSTM_STATE_SIZE - 1) == KGL_STATE_SIZE);
    CLAIM(kgl_reset(&model, stream + 4, LSTM_STATE_SIZE) == KGL_STATE_MISALIGNED);
    for (size_t i = 0; i < sizeof stream; i++) {
        stream[i] = 0xa5;
    }
    CLAIM(kgl_step(&model, stream, sizeof stream, in, LSTM_INPUTS, out, LSTM_OUTPUTS) == KGL_OTHER_STATE);
    CLAIM(kgl_reset(&model, stream, LSTM_STATE_SIZE) == KGL_OK);
    CLAIM(kgl_self_test(&model, stream, LSTM_STATE_SIZE, digest) == KGL_OK && *digest == LSTM_DIGEST);
    CLAIM(kgl_answered(&model, stream, sizeof stream) == 1 && kgl_answered(&model, NULL, sizeof stream) == 0);
    CLAIM(kgl_answered(none, stream, sizeof stream) == 0);
    CLAIM(stream[LSTM_STATE_SIZE] == 0xa5);

    CLAIM(kgl_step(&model, stream, sizeof stream, NULL, LSTM_INPUTS, out, LSTM_OUTPUTS) == KGL_NULL);
    CLAIM(kgl_step(&model, stream, sizeof stream, in, LSTM_INPUTS, NULL, LSTM_OUTPUTS) == KGL_NULL);
    CLAIM(kgl_step(&model, NULL, sizeof stream, in, LSTM_INPUTS, out, LSTM_OUTPUTS) == KGL_NULL);
    CLAIM(kgl_step(&model, stream, sizeof stream, in, LSTM_INPUTS - 1, out, LSTM_OUTPUTS) == KGL_LENGTH);
    CLAIM(kgl_step(&model, stream, sizeof stream, in, SIZE_MAX, out, LSTM_OUTPUTS) == KGL_LENGTH);
    CLAIM(kgl_step(&model, stream, sizeof stream, in, LSTM_INPUTS, out, LSTM_OUTPUTS - 1) == KGL_LENGTH);
    CLAIM(kgl_step(&model, stream, 16, in, LSTM_INPUTS, out, LSTM_OUTPUTS) == KGL_STATE_SIZE);
    CLAIM(kgl_step(&model, stream, sizeof stream, in, LSTM_INPUTS, in, LSTM_OUTPUTS) == KGL_OVERLAP);
    CLAIM(kgl_step_token(&model, stream, sizeof stream, 1, out, LSTM_OUTPUTS) == KGL_WRONG_KIND);
    CLAIM(kgl_step_window(&model, stream, sizeof stream, in, LSTM_INPUTS, out, LSTM_OUTPUTS) == KGL_WRONG_KIND);

    /* Save, step, restore, step: the same numbers. */
    CLAIM(kgl_step(&model, stream, sizeof stream, in, LSTM_INPUTS, out, LSTM_OUTPUTS) == KGL_OK);
    CLAIM(kgl_save(&model, stream, sizeof stream, saved, 11) == KGL_LENGTH);
    CLAIM(kgl_save(&model, stream, sizeof stream, saved, sizeof saved) == KGL_OK);
    CLAIM(kgl_step(&model, stream, sizeof stream, in, LSTM_INPUTS, first, LSTM_OUTPUTS) == KGL_OK);
    CLAIM(kgl_reset(&model, stream, sizeof stream) == KGL_OK);
    CLAIM(kgl_restore(&model, stream, sizeof stream, saved, kgl_saved_size(&model)) == KGL_OK);
    CLAIM(kgl_step(&model, stream, sizeof stream, in, LSTM_INPUTS, out, LSTM_OUTPUTS) == KGL_OK);
    for (size_t i = 0; i < LSTM_OUTPUTS; i++) {
        CLAIM(first[i] - out[i] == 0.0f);
    }
    CLAIM(kgl_restore(&model, stream, sizeof stream, saved, kgl_saved_size(&model) - 1) == KGL_LENGTH);
    saved[kgl_saved_size(&model) - 1] ^= 1;
    CLAIM(kgl_restore(&model, stream, sizeof stream, saved, kgl_saved_size(&model)) == KGL_SAVED_DAMAGED);
    CLAIM(kgl_step_q(&model, stream, sizeof stream, in_q, LSTM_INPUTS, out_q, LSTM_OUTPUTS) == KGL_OK);
    CLAIM(kgl_strerror(KGL_OK)[0] == 'd' && kgl_strerror(-1)[0] == 'n');
    return 0;
}

static int others(void)
{
    float out[TOKENS_OUTPUTS + BIDIRECTIONAL_OUTPUTS + SENTENCE_OUTPUTS];
    uint32_t digest = 0;
    /* A model that cannot be opened leaves none open, and neither its own memory nor the file becomes a state. */
    CLAIM(kgl_model_open(&model, KGL_ABI, lstm_model, LSTM_MODEL_SIZE) == KGL_OK);
    CLAIM(kgl_reset(&model, (void *)(uintptr_t)lstm_model, LSTM_STATE_SIZE) == KGL_OVERLAP);
    CLAIM(kgl_reset(&model, &model, LSTM_STATE_SIZE) == KGL_OVERLAP);
    CLAIM(kgl_model_open(&model, KGL_ABI, lstm_model, LSTM_MODEL_SIZE - 1) == KGL_FILE_DAMAGED);
    CLAIM(kgl_inputs(&model) == 0);
    CLAIM(kgl_model_open(&model, KGL_ABI, tokens_model, TOKENS_MODEL_SIZE) == KGL_OK);
    CLAIM(kgl_step_token(&model, stream, sizeof stream, 1, out, TOKENS_OUTPUTS) == KGL_OTHER_STATE);
    CLAIM(kgl_reset(&model, stream, sizeof stream) == KGL_OK);
    CLAIM(kgl_self_test(&model, stream, sizeof stream, NULL) == KGL_OK);
    CLAIM(kgl_step_token(&model, stream, sizeof stream, 1, out, TOKENS_OUTPUTS) == KGL_OK);
    CLAIM(kgl_step_token(&model, stream, sizeof stream, UINT32_MAX, out, TOKENS_OUTPUTS) == KGL_OK);
    CLAIM(kgl_step(&model, stream, sizeof stream, window, TOKENS_TOKENS, out, TOKENS_OUTPUTS) == KGL_WRONG_KIND);

    CLAIM(kgl_model_open(&model, KGL_ABI, bidirectional_model, BIDIRECTIONAL_MODEL_SIZE) == KGL_OK);
    CLAIM(kgl_window(&model) == BIDIRECTIONAL_WINDOW && kgl_saved_size(&model) == 0);
    CLAIM(kgl_reset(&model, stream, sizeof stream) == KGL_OK);
    CLAIM(kgl_self_test(&model, stream, sizeof stream, &digest) == KGL_OK && digest == BIDIRECTIONAL_DIGEST);
    CLAIM(kgl_step(&model, stream, sizeof stream, window, BIDIRECTIONAL_INPUTS, out, BIDIRECTIONAL_OUTPUTS) == KGL_WRONG_KIND);
    CLAIM(kgl_step_window(&model, stream, sizeof stream, window, BIDIRECTIONAL_WINDOW * BIDIRECTIONAL_INPUTS - 1, out,
                          BIDIRECTIONAL_OUTPUTS) == KGL_LENGTH);
    CLAIM(kgl_step_window(&model, stream, sizeof stream, window, BIDIRECTIONAL_WINDOW * BIDIRECTIONAL_INPUTS, out,
                          BIDIRECTIONAL_OUTPUTS) == KGL_OK);
    CLAIM(kgl_save(&model, stream, sizeof stream, saved, sizeof saved) == KGL_WRONG_KIND);
    CLAIM(kgl_step_window_tokens(&model, stream, sizeof stream, sentence, SENTENCE_WINDOW, out, BIDIRECTIONAL_OUTPUTS) == KGL_WRONG_KIND);

    CLAIM(kgl_model_open(&model, KGL_ABI, sentence_model, SENTENCE_MODEL_SIZE) == KGL_OK);
    CLAIM(kgl_window(&model) == SENTENCE_WINDOW && kgl_inputs(&model) == SENTENCE_TOKENS);
    CLAIM(kgl_reset(&model, stream, sizeof stream) == KGL_OK);
    CLAIM(kgl_self_test(&model, stream, sizeof stream, &digest) == KGL_OK && digest == SENTENCE_DIGEST);
    sentence[0] = SIZE_MAX;
    CLAIM(kgl_step_window_tokens(&model, stream, sizeof stream, sentence, SENTENCE_WINDOW, out, SENTENCE_OUTPUTS) == KGL_OK);
    CLAIM(kgl_step_window_tokens(&model, stream, sizeof stream, sentence, SENTENCE_WINDOW - 1, out, SENTENCE_OUTPUTS) == KGL_LENGTH);
    CLAIM(kgl_step_window(&model, stream, sizeof stream, window, SENTENCE_WINDOW, out, SENTENCE_OUTPUTS) == KGL_WRONG_KIND);

    /* A decoder goes on from its encoder, and from no other model. */
    CLAIM(kgl_model_open(&encoder, KGL_ABI, encoder_model, ENCODER_MODEL_SIZE) == KGL_OK);
    CLAIM(kgl_model_open(&model, KGL_ABI, decoder_model, DECODER_MODEL_SIZE) == KGL_OK);
    CLAIM(kgl_reset(&encoder, reader, sizeof reader) == KGL_OK && kgl_reset(&model, stream, sizeof stream) == KGL_OK);
    {
        float read[ENCODER_INPUTS + ENCODER_OUTPUTS] = {1.0f};
        float said[3][DECODER_OUTPUTS];
        const float sample[DECODER_INPUTS] = {0.5f};
        CLAIM(kgl_step(&model, stream, sizeof stream, sample, DECODER_INPUTS, said[0], DECODER_OUTPUTS) == KGL_OK);
        for (int step = 1; step < 3; step++) {
            CLAIM(kgl_seed(&model, stream, sizeof stream, &encoder, reader, sizeof reader) == KGL_OK);
            CLAIM(kgl_step(&model, stream, sizeof stream, sample, DECODER_INPUTS, said[step], DECODER_OUTPUTS) == KGL_OK);
            CLAIM(kgl_step(&encoder, reader, sizeof reader, read, ENCODER_INPUTS, read + ENCODER_INPUTS, ENCODER_OUTPUTS) == KGL_OK);
        }
        CLAIM(said[1][0] - said[0][0] == 0.0f && said[2][0] - said[0][0] != 0.0f);
    }
    CLAIM(kgl_seed(&model, stream, sizeof stream, &model, stream, sizeof stream) == KGL_OVERLAP);
    CLAIM(kgl_seed(&model, stream, sizeof stream, &encoder, NULL, sizeof reader) == KGL_NULL);
    CLAIM(kgl_seed(&model, reader, sizeof reader, &encoder, reader, sizeof reader) == KGL_OVERLAP);
    CLAIM(kgl_model_open(&model, KGL_ABI, lstm_model, LSTM_MODEL_SIZE) == KGL_OK);
    CLAIM(kgl_reset(&model, stream, sizeof stream) == KGL_OK);
    CLAIM(kgl_seed(&model, stream, sizeof stream, &encoder, reader, sizeof reader) == KGL_OTHER_STATE);
    return 0;
}
