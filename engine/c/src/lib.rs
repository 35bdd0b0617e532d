//! The engine from C: `kinglet.h`, which [cbindgen](https://github.com/mozilla/cbindgen) makes of this file, and a static library.
//!
//! Nothing here computes. A function checks what Rust would have checked by type, borrows the caller's memory, and calls the
//! engine, whose panics are thereby out of reach. What a [`kgl_model`] holds is a [`Model`], which has nothing to drop.
#![cfg_attr(target_os = "none", no_std)]
#![allow(
    non_camel_case_types,
    reason = "names as C has them; cbindgen takes them over"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "what pointers must be stands once, at the head of `kinglet.h`; these texts go there"
)]

mod status;

pub use status::{kgl_status, kgl_strerror};

use core::ffi::c_void;
use core::mem::{MaybeUninit, align_of, size_of};
use core::slice;
use kinglet::format::{Input, Shape};
use kinglet::{Model, Runner, TestFailure, WindowRunner};

/// Version of this interface, for kgl_model_open(). It rises with every change that would break a compiled program.
pub const KGL_ABI: u32 = 1;

/// Words of a kgl_model, each as wide as a pointer: 2.1 KB of RAM on a 32-bit machine.
pub const KGL_MODEL_WORDS: usize = 536;

/// An opened model. Its memory is the caller's, the contents are not; it may be copied, and needs no closing.
#[repr(C)]
pub struct kgl_model {
    /// Tells an opened model from other memory.
    opened: u64,
    /// Of the library.
    memory: [MaybeUninit<usize>; KGL_MODEL_WORDS],
}

/// What an opened one holds.
struct Opened<'a> {
    model: Model<'a>,
    /// Which the model borrows.
    file: Extent,
}

const _: () = assert!(size_of::<Opened<'_>>() <= KGL_MODEL_WORDS * size_of::<usize>());
const _: () = assert!(align_of::<Opened<'_>>() <= align_of::<kgl_model>());
const _: () = assert!(!core::mem::needs_drop::<Model<'_>>());

/// `kgl_model` and the interface's version.
const OPENED: u64 = 0x6b67_6c5f_6d6f_6400 | KGL_ABI as u64;

type Status = Result<(), kgl_status>;

fn status(result: Status) -> kgl_status {
    match result {
        Ok(()) => kgl_status::KGL_OK,
        Err(status) => status,
    }
}

/// # Safety
/// A pointer that is not null is to a `kgl_model`, which does not change meanwhile; if it was opened, the file is where it was.
unsafe fn whole<'a>(model: *const kgl_model) -> Result<&'a Opened<'a>, kgl_status> {
    if model.is_null() {
        return Err(kgl_status::KGL_NULL);
    }
    if !model.addr().is_multiple_of(align_of::<kgl_model>()) {
        return Err(kgl_status::KGL_MODEL_MISALIGNED);
    }
    // SAFETY: as the caller says, and aligned.
    let model = unsafe { &*model };
    if model.opened != OPENED {
        return Err(kgl_status::KGL_NOT_OPEN);
    }
    // SAFETY: only `kgl_model_open` leaves this word, after the rest and while the file is there, as the caller says; that has room
    // and alignment, as asserted above.
    Ok(unsafe { &*model.memory.as_ptr().cast() })
}

/// # Safety
/// As of [`whole`].
unsafe fn opened<'a>(model: *const kgl_model) -> Result<&'a Model<'a>, kgl_status> {
    // SAFETY: as the caller says.
    unsafe { whole(model) }.map(|opened| &opened.model)
}

/// Memory of the caller: where it begins, and how many bytes it has.
#[derive(Clone, Copy)]
struct Extent(usize, usize);

impl Extent {
    fn of<T>(pointer: *const T, len: usize) -> Result<Extent, kgl_status> {
        if pointer.is_null() {
            return Err(kgl_status::KGL_NULL);
        }
        if !pointer.addr().is_multiple_of(align_of::<T>()) {
            return Err(kgl_status::KGL_NUMBERS_MISALIGNED);
        }
        let bytes = len.checked_mul(size_of::<T>());
        let bytes = bytes.filter(|&bytes| bytes <= isize::MAX as usize);
        let bytes = bytes.filter(|&bytes| pointer.addr().checked_add(bytes).is_some());
        Ok(Extent(pointer.addr(), bytes.ok_or(kgl_status::KGL_LENGTH)?))
    }

    /// What is written must lie apart from what else is used.
    fn apart(self, other: Extent) -> Status {
        if self.0 < other.0 + other.1 && other.0 < self.0 + self.1 {
            return Err(kgl_status::KGL_OVERLAP);
        }
        Ok(())
    }
}

/// The memory that a call is given, all of it checked.
struct Stream<'a, X, Y> {
    model: &'a Model<'a>,
    state: &'a mut [u8],
    input: &'a [X],
    output: &'a mut [Y],
}

impl<'a, X, Y> Stream<'a, X, Y> {
    /// # Safety
    /// Pointers that are not null are to memory of these lengths, which nobody else uses meanwhile, and `model` as for [`opened`].
    unsafe fn new(
        model: *const kgl_model,
        (state, state_size): (*mut u8, usize),
        (input, inputs): (*const X, usize),
        (output, outputs): (*mut Y, usize),
    ) -> Result<Self, kgl_status> {
        // SAFETY: as the caller says.
        let opened = unsafe { whole(model)? };
        let [at, read, written, object] = [
            Extent::of(state, state_size)?,
            Extent::of(input, inputs)?,
            Extent::of(output, outputs)?,
            Extent::of(model, 1)?,
        ];
        at.apart(read)?;
        at.apart(written)?;
        at.apart(object)?;
        written.apart(read)?;
        written.apart(object)?;
        at.apart(opened.file)?;
        written.apart(opened.file)?;
        Ok(Stream {
            model: &opened.model,
            // SAFETY: `Extent::of` saw that they are not null, aligned and no longer than a slice may be; what is written lies apart;
            // the rest as the caller says.
            state: unsafe { slice::from_raw_parts_mut(state, state_size) },
            // SAFETY: likewise.
            input: unsafe { slice::from_raw_parts(input, inputs) },
            // SAFETY: likewise.
            output: unsafe { slice::from_raw_parts_mut(output, outputs) },
        })
    }

    fn lengths(&self, inputs: usize) -> Status {
        if self.input.len() != inputs || self.output.len() != self.model.outputs() {
            return Err(kgl_status::KGL_LENGTH);
        }
        Ok(())
    }

    fn bind(self) -> Result<(Runner<'a, 'a>, &'a [X], &'a mut [Y]), kgl_status> {
        let Stream {
            model,
            state,
            input,
            output,
        } = self;
        Ok((model.bind_bytes(state)?, input, output))
    }
}

impl<'a, X> Stream<'a, X, f32> {
    /// A whole window from zero, at once or step by step; a step takes so many numbers.
    fn window(
        self,
        width: usize,
        run: impl FnOnce(&mut WindowRunner<'a, 'a>, &[X], &mut [f32]),
        mut step: impl FnMut(&mut Runner<'a, 'a>, &[X], &mut [f32]),
    ) -> Status {
        let window = window(self.model);
        if window == 0 {
            return Err(kgl_status::KGL_WRONG_KIND);
        }
        self.lengths(window.saturating_mul(width))?;
        if self.model.is_bidirectional() {
            let mut net = self.model.bind_window_bytes(self.state)?;
            net.reset();
            run(&mut net, self.input, self.output);
        } else {
            let (mut net, input, output) = self.bind()?;
            net.reset();
            for input in input.chunks_exact(width) {
                step(&mut net, input, output);
            }
        }
        Ok(())
    }
}

/// For calls without input, or without output.
const NOTHING: (*const u8, usize) = (core::ptr::dangling(), 0);
const NOWHERE: (*mut u8, usize) = (core::ptr::dangling_mut(), 0);

fn wants_samples(model: &Model<'_>) -> Status {
    match model.header().input {
        Input::Features { .. } => Ok(()),
        Input::Tokens { .. } => Err(kgl_status::KGL_WRONG_KIND),
    }
}

fn wants_tokens(model: &Model<'_>) -> Status {
    match model.header().input {
        Input::Tokens { .. } => Ok(()),
        Input::Features { .. } => Err(kgl_status::KGL_WRONG_KIND),
    }
}

/// Samples of a window that is computed from zero; otherwise 0.
fn window(model: &Model<'_>) -> usize {
    match model.header().shape {
        Shape::Window {
            window,
            exact: true,
            ..
        } => window as usize,
        _ => 0,
    }
}

/// The interface's version in the library; it must be KGL_ABI, which kgl_model_open() checks.
#[unsafe(no_mangle)]
pub extern "C" fn kgl_abi() -> u32 {
    KGL_ABI
}

/// Checks a whole model file, once, and opens it. Nothing is copied: the file must stay where it is.
/// This takes 2 KB of stack on a Cortex-M, more than any other call.
///
/// @param model   Memory for it.
/// @param abi     KGL_ABI: what the program was compiled for.
/// @param file    The model file, at a multiple of 16.
/// @param size    Its bytes.
/// @return        KGL_ABI_MISMATCH, KGL_FILE_MISALIGNED, KGL_NOT_A_MODEL, KGL_FILE_VERSION, KGL_FILE_DAMAGED, KGL_FILE_INVALID;
///                the model is then not open, whatever it was before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_model_open(
    model: *mut kgl_model,
    abi: u32,
    file: *const c_void,
    size: usize,
) -> kgl_status {
    if abi != KGL_ABI {
        return kgl_status::KGL_ABI_MISMATCH;
    }
    let open = || {
        if model.is_null() {
            return Err(kgl_status::KGL_NULL);
        }
        if !model.addr().is_multiple_of(align_of::<kgl_model>()) {
            return Err(kgl_status::KGL_MODEL_MISALIGNED);
        }
        let written = Extent::of(model, 1)?;
        let extent = Extent::of(file.cast::<u8>(), size)?;
        written.apart(extent)?;
        // SAFETY: not null and aligned. What was opened here before is not any more, whatever comes.
        unsafe { (&raw mut (*model).opened).write(0) };
        // SAFETY: not null and no longer than a slice may be; the rest as the caller says.
        let bytes = unsafe { slice::from_raw_parts(file.cast::<u8>(), size) };
        // SAFETY: not null, aligned, and with room, as asserted above; the object is the caller's, and nobody else uses it meanwhile.
        unsafe {
            let opened = (&raw mut (*model).memory).cast::<Opened<'_>>();
            let place = (&raw mut (*opened).model).cast::<MaybeUninit<Model<'_>>>();
            Model::from_bytes_in(bytes, &mut *place)?;
            (&raw mut (*opened).file).write(extent);
            (&raw mut (*model).opened).write(OPENED);
        }
        Ok(())
    };
    status(open())
}

/// Numbers in a sample, or tokens in the alphabet; 0 if the model is not open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_inputs(model: *const kgl_model) -> usize {
    // SAFETY: as the caller says.
    unsafe { opened(model) }.map_or(0, Model::inputs)
}

/// Numbers in an output; 0 if the model is not open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_outputs(model: *const kgl_model) -> usize {
    // SAFETY: as the caller says.
    unsafe { opened(model) }.map_or(0, Model::outputs)
}

/// Samples or tokens of a window, for kgl_step_window() or kgl_step_window_tokens(); 0 if the model's state runs on from sample to sample, or the model is not open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_window(model: *const kgl_model) -> usize {
    // SAFETY: as the caller says.
    unsafe { opened(model) }.map_or(0, window)
}

/// Bytes of a stream's state; 0 if the model is not open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_state_size(model: *const kgl_model) -> usize {
    // SAFETY: as the caller says.
    unsafe { opened(model) }.map_or(0, Model::state_len)
}

/// Bytes that kgl_save() writes; 0 if the model keeps nothing between windows (it is bidirectional), or is not open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_saved_size(model: *const kgl_model) -> usize {
    // SAFETY: as the caller says.
    match unsafe { opened(model) } {
        Ok(model) if !model.is_bidirectional() => model.saved_len(),
        _ => 0,
    }
}

/// Fraction bits of a sample in kgl_step_q(): the integer q stands for q * 2^-bits. 0 if the model is not open or has floats.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_input_frac(model: *const kgl_model) -> i32 {
    // SAFETY: as the caller says.
    match unsafe { opened(model) } {
        Ok(model) if model.is_integer() => model.input_frac().into(),
        _ => 0,
    }
}

/// Fraction bits of an output of kgl_step_q(). 0 if the model is not open or has floats.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_output_frac(model: *const kgl_model) -> i32 {
    // SAFETY: as the caller says.
    match unsafe { opened(model) } {
        Ok(model) if model.is_integer() => model.output_frac().into(),
        _ => 0,
    }
}

/// Makes memory a state, at the start of a stream, whatever was in it.
///
/// @param state  kgl_state_size() bytes or more, at a multiple of 16.
/// @return       KGL_STATE_SIZE, KGL_STATE_MISALIGNED, KGL_OVERLAP.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_reset(
    model: *const kgl_model,
    state: *mut c_void,
    state_size: usize,
) -> kgl_status {
    let reset = || {
        let state = (state.cast(), state_size);
        // SAFETY: as the caller says; the bytes need not have been written, and are not read before they are.
        let opened = unsafe { whole(model)? };
        let at = Extent::of::<u8>(state.0, state.1)?;
        at.apart(Extent::of(model, 1)?)?;
        at.apart(opened.file)?;
        let model = &opened.model;
        let need = model.state_len();
        if state.1 < need {
            return Err(kgl_status::KGL_STATE_SIZE);
        }
        if !at.0.is_multiple_of(16) {
            return Err(kgl_status::KGL_STATE_MISALIGNED);
        }
        // SAFETY: not null, and so long; apart from the model and its file.
        unsafe { state.0.write_bytes(0, need) };
        // SAFETY: likewise, and written now.
        let state = unsafe { slice::from_raw_parts_mut(state.0, need) };
        if model.is_bidirectional() {
            model.bind_window_bytes(state)?;
        } else {
            model.bind_bytes(state)?;
        }
        Ok(())
    };
    status(reset())
}

/// One step: a raw sample in, a prediction in its unit out. The file has the normalisation.
///
/// @param sample   kgl_inputs() numbers in the units that the network was trained on; a missing value is NaN.
/// @param output   kgl_outputs() numbers; apart from the sample and the state.
/// @return         KGL_LENGTH, KGL_WRONG_KIND (of tokens, or bidirectional), KGL_STATE_SIZE, KGL_STATE_MISALIGNED, KGL_OTHER_STATE, KGL_OVERLAP.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_step(
    model: *const kgl_model,
    state: *mut c_void,
    state_size: usize,
    sample: *const f32,
    inputs: usize,
    output: *mut f32,
    outputs: usize,
) -> kgl_status {
    let state = (state.cast(), state_size);
    let step = || {
        // SAFETY: as the caller says.
        let stream = unsafe { Stream::new(model, state, (sample, inputs), (output, outputs))? };
        wants_samples(stream.model)?;
        stream.lengths(stream.model.inputs())?;
        let (mut net, sample, output) = stream.bind()?;
        net.step(sample, output);
        Ok(())
    };
    status(step())
}

/// One step in integers, without normalisation and without a float instruction.
///
/// @param sample   kgl_inputs() integers with kgl_input_frac() fraction bits.
/// @param output   kgl_outputs() integers with kgl_output_frac() fraction bits.
/// @return         As kgl_step(); KGL_WRONG_KIND also of a model in floats.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_step_q(
    model: *const kgl_model,
    state: *mut c_void,
    state_size: usize,
    sample: *const i16,
    inputs: usize,
    output: *mut i16,
    outputs: usize,
) -> kgl_status {
    let state = (state.cast(), state_size);
    let step = || {
        // SAFETY: as the caller says.
        let stream = unsafe { Stream::new(model, state, (sample, inputs), (output, outputs))? };
        wants_samples(stream.model)?;
        if !stream.model.is_integer() {
            return Err(kgl_status::KGL_WRONG_KIND);
        }
        stream.lengths(stream.model.inputs())?;
        let (mut net, sample, output) = stream.bind()?;
        net.step_q(sample, output);
        Ok(())
    };
    status(step())
}

/// One step on a token. A number that is no token, kgl_inputs() or more, enters as a vector of zeros.
///
/// @param token    Its number in the alphabet.
/// @param output   kgl_outputs() scores.
/// @return         As kgl_step(); KGL_WRONG_KIND of a model of samples.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_step_token(
    model: *const kgl_model,
    state: *mut c_void,
    state_size: usize,
    token: u32,
    output: *mut f32,
    outputs: usize,
) -> kgl_status {
    let state = (state.cast(), state_size);
    let step = || {
        // SAFETY: as the caller says.
        let stream = unsafe { Stream::new(model, state, NOTHING, (output, outputs))? };
        wants_tokens(stream.model)?;
        stream.lengths(0)?;
        let (mut net, _, output) = stream.bind()?;
        net.step_token(token as usize, output);
        Ok(())
    };
    status(step())
}

/// A whole window at once, computed from zero: nothing is known of what was before it. The only way for a bidirectional model.
///
/// @param samples  kgl_window() samples of kgl_inputs() raw numbers, one after the other, oldest first.
/// @param numbers  kgl_window() times kgl_inputs().
/// @param output   kgl_outputs() numbers.
/// @return         As kgl_step(); KGL_WRONG_KIND of a model of tokens, or whose state runs on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_step_window(
    model: *const kgl_model,
    state: *mut c_void,
    state_size: usize,
    samples: *const f32,
    numbers: usize,
    output: *mut f32,
    outputs: usize,
) -> kgl_status {
    let state = (state.cast(), state_size);
    let step = || {
        // SAFETY: as the caller says.
        let stream = unsafe { Stream::new(model, state, (samples, numbers), (output, outputs))? };
        wants_samples(stream.model)?;
        let width = stream.model.inputs();
        stream.window(width, WindowRunner::run, Runner::step)
    };
    status(step())
}

/// As kgl_step_window(), of a model of tokens. Where it is not bidirectional a text may be shorter: kgl_reset(), kgl_step_token() for each
/// of its tokens, and the last output counts. A number that is no token, kgl_inputs() or more, enters as a vector of zeros.
///
/// @param tokens   kgl_window() numbers of tokens, oldest first.
/// @param count    kgl_window().
/// @param output   kgl_outputs() scores.
/// @return         As kgl_step(); KGL_WRONG_KIND of a model of samples, or whose state runs on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_step_window_tokens(
    model: *const kgl_model,
    state: *mut c_void,
    state_size: usize,
    tokens: *const usize,
    count: usize,
    output: *mut f32,
    outputs: usize,
) -> kgl_status {
    let state = (state.cast(), state_size);
    let step = || {
        // SAFETY: as the caller says.
        let stream = unsafe { Stream::new(model, state, (tokens, count), (output, outputs))? };
        wants_tokens(stream.model)?;
        let step = |net: &mut Runner<'_, '_>, token: &[usize], output: &mut [f32]| {
            net.step_token(token[0], output);
        };
        stream.window(1, WindowRunner::run_tokens, step)
    };
    status(step())
}

/// Whether the last step had an answer of its own. A model whose convolutions have a stride, or which pools over time, has one for some
/// samples only: kgl_step() gives the last one again in between, and before the first what an answer of zeros stands for.
///
/// @return  1 or 0; 0 too where kgl_step() would be an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_answered(
    model: *const kgl_model,
    state: *mut c_void,
    state_size: usize,
) -> u32 {
    let state = (state.cast(), state_size);
    // SAFETY: as the caller says.
    let stream = unsafe { Stream::new(model, state, NOTHING, NOWHERE) };
    stream
        .and_then(Stream::bind)
        .is_ok_and(|(net, ..)| net.answered())
        .into()
}

/// Writes what outlasts a step, to go on later, after a power failure for example.
///
/// @param saved    kgl_saved_size() bytes or more, anywhere. The same bytes on every machine.
/// @return         KGL_LENGTH, KGL_WRONG_KIND (bidirectional), KGL_SAVED_DAMAGED if the state of a float layer is NaN, and as kgl_step().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_save(
    model: *const kgl_model,
    state: *mut c_void,
    state_size: usize,
    saved: *mut c_void,
    saved_size: usize,
) -> kgl_status {
    let state = (state.cast(), state_size);
    let save = || {
        // SAFETY: as the caller says.
        let stream =
            unsafe { Stream::new(model, state, NOTHING, (saved.cast::<u8>(), saved_size))? };
        let (net, _, saved) = stream.bind()?;
        net.save(saved)?;
        Ok(())
    };
    status(save())
}

/// Goes on from what kgl_save() wrote.
///
/// @param saved       What was written.
/// @param saved_size  kgl_saved_size().
/// @return            KGL_SAVED_DAMAGED, KGL_SAVED_BY_OTHER, KGL_LENGTH, and as kgl_step().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_restore(
    model: *const kgl_model,
    state: *mut c_void,
    state_size: usize,
    saved: *const c_void,
    saved_size: usize,
) -> kgl_status {
    let state = (state.cast(), state_size);
    let restore = || {
        // SAFETY: as the caller says.
        let stream =
            unsafe { Stream::new(model, state, (saved.cast::<u8>(), saved_size), NOWHERE)? };
        let (mut net, saved, _) = stream.bind()?;
        net.restore(saved)?;
        Ok(())
    };
    status(restore())
}

/// Starts a decoder's stream from what an encoder knows: from the states of its recurrent layers and convolutions.
///
/// @param model         The decoder.
/// @param state         A state of it, after kgl_reset().
/// @param encoder       The encoder, whose layers of these kinds are as the decoder's.
/// @param encoder_state The state of what it has read.
/// @return              KGL_OTHER_STATE if the layers differ, and as kgl_step().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_seed(
    model: *const kgl_model,
    state: *mut c_void,
    state_size: usize,
    encoder: *const kgl_model,
    encoder_state: *mut c_void,
    encoder_state_size: usize,
) -> kgl_status {
    let (state, left) = (
        (state.cast::<u8>(), state_size),
        (encoder_state.cast::<u8>(), encoder_state_size),
    );
    let seed = || {
        let [mine, theirs] = [state, left].map(|memory| Extent::of(memory.0, memory.1));
        let (mine, theirs) = (mine?, theirs?);
        mine.apart(theirs)?;
        for (written, other) in [(mine, encoder), (theirs, model)] {
            // SAFETY: as the caller says.
            written.apart(unsafe { whole(other)? }.file)?;
            written.apart(Extent::of(other, 1)?)?;
        }
        // SAFETY: as the caller says; the states lie apart from each other.
        let (decoder, reader) = unsafe {
            (
                Stream::new(model, state, NOTHING, NOWHERE)?,
                Stream::new(encoder, left, NOTHING, NOWHERE)?,
            )
        };
        let ((mut decoder, ..), (reader, ..)) = (decoder.bind()?, reader.bind()?);
        decoder.seed_from(&reader)?;
        Ok(())
    };
    status(seed())
}

/// Runs the steps with known results that every model file carries; the state is reset.
///
/// @param digest   Where the digest of outputs and states goes; may be null. Of integers it is the one that `kinglet verify` prints, of floats
///                 the one in its line of the kernels that run here, as some round a multiplication and an addition once.
/// @return         KGL_TEST_FAILED if this machine computes something else, and as kgl_step().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kgl_self_test(
    model: *const kgl_model,
    state: *mut c_void,
    state_size: usize,
    digest: *mut u32,
) -> kgl_status {
    let state = (state.cast(), state_size);
    let test = || {
        let mut ignored = 0;
        let digest = if digest.is_null() {
            &raw mut ignored
        } else {
            digest
        };
        // SAFETY: as the caller says.
        let stream = unsafe { Stream::new(model, state, NOTHING, (digest, 1))? };
        let result = if stream.model.is_bidirectional() {
            stream.model.bind_window_bytes(stream.state)?.self_test()
        } else {
            let mut net = stream.model.bind_bytes(stream.state)?;
            stream.model.self_test(&mut net)
        };
        let found = result.map_err(|_: TestFailure| kgl_status::KGL_TEST_FAILED)?;
        stream.output[0] = found.value();
        Ok(())
    };
    status(test())
}

/// What could panic is checked above; the compiler does not see that, and links this. Endless, as there is nobody to tell, and so no
/// message is linked either.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
