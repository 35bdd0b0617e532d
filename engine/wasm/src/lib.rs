//! The engine as a WebAssembly module without imports. `npm/kinglet.js` is its interface; these are the functions behind it.
//!
//! What is passed lies in one of two boxes: JavaScript writes into the *inbox*, whose place [`inbox`] gives, and a function leaves its
//! result, or the text of an error, in the *outbox*. Models and streams are numbers, so no pointer is taken from outside. A function
//! gives a negative number for an error.

#![no_std]

extern crate alloc;

mod about;
mod stream;

use alloc::borrow::ToOwned;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt::Display;

use kinglet::Model;
use self_cell::self_cell;
use stream::{AnyRunner, Stream};

/// A block of memory as the engine wants files and states to be aligned.
#[derive(Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(C, align(16))]
struct Block([u8; 16]);

fn blocks(bytes: usize) -> Vec<Block> {
    vec![Block([0; 16]); bytes.div_ceil(16)]
}

/// The bytes of a file.
struct File {
    blocks: Vec<Block>,
    len: usize,
}

impl File {
    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[..self.len]
    }
}

self_cell! {
    /// A file, and the model that looks into it.
    struct Loaded {
        owner: File,
        #[covariant]
        dependent: Model,
    }
}

struct Module {
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    models: Vec<Option<Rc<Loaded>>>,
    streams: Vec<Option<Stream>>,
}

/// What there is one of.
struct OneThread(RefCell<Module>);

#[cfg(target_feature = "atomics")]
compile_error!("a module that threads share would need a lock");

// SAFETY: a WebAssembly module without atomics is run by one thread.
unsafe impl Sync for OneThread {}

static MODULE: OneThread = OneThread(RefCell::new(Module {
    inbox: Vec::new(),
    outbox: Vec::new(),
    models: Vec::new(),
    streams: Vec::new(),
}));

#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// A trap, which JavaScript meets as a `WebAssembly.RuntimeError`.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Does something, and leaves the text of an error.
fn with<E: Display>(work: impl FnOnce(&mut Module) -> Result<i32, E>) -> i32 {
    let module = &mut *MODULE.0.borrow_mut();
    match work(module) {
        Ok(number) => number,
        Err(error) => {
            module.outbox = error.to_string().into_bytes();
            -1
        }
    }
}

impl Module {
    fn model(&self, model: usize) -> Result<&Rc<Loaded>, &'static str> {
        let found = self.models.get(model).and_then(Option::as_ref);
        found.ok_or("the model has been freed")
    }
}

fn stream_of(streams: &mut [Option<Stream>], stream: usize) -> Result<&mut Stream, String> {
    let found = streams.get_mut(stream).and_then(Option::as_mut);
    found.ok_or_else(|| "the stream has been freed".to_owned())
}

/// Takes something from its number, if it is there.
fn free<T>(all: &mut [Option<T>], place: usize) -> Option<T> {
    all.get_mut(place).and_then(Option::take)
}

/// Keeps something under the first number that is free.
fn keep<T>(all: &mut Vec<Option<T>>, one: T) -> i32 {
    let free = all.iter().position(Option::is_none);
    let place = free.unwrap_or(all.len());
    match free {
        Some(place) => all[place] = Some(one),
        None => all.push(Some(one)),
    }
    place as i32
}

/// Where so many bytes are to be written.
#[unsafe(no_mangle)]
pub extern "C" fn inbox(bytes: usize) -> *mut u8 {
    let inbox = &mut MODULE.0.borrow_mut().inbox;
    inbox.clear();
    inbox.resize(bytes, 0);
    inbox.as_mut_ptr()
}

/// Where the last result is.
#[unsafe(no_mangle)]
pub extern "C" fn outbox() -> *const u8 {
    MODULE.0.borrow().outbox.as_ptr()
}

/// Its bytes.
#[unsafe(no_mangle)]
pub extern "C" fn outbox_len() -> usize {
    MODULE.0.borrow().outbox.len()
}

/// Opens the model file in the inbox; gives its number.
#[unsafe(no_mangle)]
pub extern "C" fn open_model() -> i32 {
    with(|module| {
        let bytes = core::mem::take(&mut module.inbox);
        let mut file = File {
            blocks: blocks(bytes.len()),
            len: bytes.len(),
        };
        bytemuck::cast_slice_mut(&mut file.blocks)[..bytes.len()].copy_from_slice(&bytes);
        let loaded = Loaded::try_new(file, |file| Model::from_bytes(file.bytes()))?;
        Ok::<_, kinglet::LoadError>(keep(&mut module.models, Rc::new(loaded)))
    })
}

/// What a model is, as JSON.
#[unsafe(no_mangle)]
pub extern "C" fn about_model(model: usize) -> i32 {
    with(|module| {
        let loaded = module.model(model)?;
        let flash = loaded.borrow_owner().len;
        let text = about::json(loaded.borrow_dependent(), flash);
        module.outbox = text.into_bytes();
        Ok::<_, &str>(0)
    })
}

/// The digest of the test steps in the file, run here, as `kinglet verify` prints it.
#[unsafe(no_mangle)]
pub extern "C" fn digest(model: usize) -> i32 {
    with(|module| {
        let loaded = module.model(model)?.clone();
        let model = loaded.borrow_dependent();
        if model.header().test.steps == 0 {
            return Err("there are no test steps in the file; export it again".to_owned());
        }
        let mut state = blocks(model.state_len());
        let runner = AnyRunner::bind(model, bytemuck::cast_slice_mut(&mut state));
        let digest = match runner.map_err(|error| error.to_string())? {
            AnyRunner::Steps(mut runner) => model.self_test(&mut runner),
            AnyRunner::Windows(mut runner) => runner.self_test(),
        };
        // The failure's own message may hold floats, whose formatting takes 20 KB.
        let digest =
            digest.map_err(|_| "the file's test steps give other results here".to_owned())?;
        module.outbox = digest.to_string().into_bytes();
        Ok::<_, String>(0)
    })
}

/// Frees a model. Its streams go on.
#[unsafe(no_mangle)]
pub extern "C" fn free_model(model: usize) {
    drop(free(&mut MODULE.0.borrow_mut().models, model));
}

/// A new stream of a model; gives its number.
#[unsafe(no_mangle)]
pub extern "C" fn open_stream(model: usize) -> i32 {
    with(|module| {
        let loaded = module.model(model)?.clone();
        let stream = Stream::new(loaded).map_err(|error| error.to_string())?;
        Ok::<_, String>(keep(&mut module.streams, stream))
    })
}

/// Takes the samples in the inbox, which are `f32`, or tokens as numbers. A record of words of four bytes is left for every answer: which
/// sample it came with, from 0; the outputs as `f32`; the score of a model that watches for anomalies, else NaN; and whether it is an
/// alarm. Gives how many there are.
#[unsafe(no_mangle)]
pub extern "C" fn run_stream(stream: usize) -> i32 {
    with(|module| {
        let stream = stream_of(&mut module.streams, stream)?;
        let (words, _) = module.inbox.as_chunks::<4>();
        let samples: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
        module.outbox.clear();
        let outbox = &mut module.outbox;
        let answers = stream.run(&samples, |row, y, verdict| {
            outbox.extend((row as u32).to_le_bytes());
            y.iter().for_each(|y| outbox.extend(y.to_le_bytes()));
            let score = verdict.map_or(f32::NAN, |verdict| verdict.score);
            outbox.extend(score.to_le_bytes());
            outbox.extend(u32::from(verdict.is_some_and(|verdict| verdict.alarm)).to_le_bytes());
        });
        answers.map(|answers| answers as i32)
    })
}

/// Starts a stream anew.
#[unsafe(no_mangle)]
pub extern "C" fn reset_stream(stream: usize) -> i32 {
    with(|module| stream_of(&mut module.streams, stream)?.reset().map(|()| 0))
}

/// Frees a stream.
#[unsafe(no_mangle)]
pub extern "C" fn free_stream(stream: usize) {
    drop(free(&mut MODULE.0.borrow_mut().streams, stream));
}
