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
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt::Display;

use kinglet::Model;
use kinglet::audio::{LogMel, Settings};
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
    fronts: Vec<Option<Box<Front>>>,
}

/// A front end with room for all that there is.
type Front = LogMel<2048, 128>;

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
    fronts: Vec::new(),
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

/// One of many by its number.
fn of<'a, T>(all: &'a mut [Option<T>], number: usize, kind: &str) -> Result<&'a mut T, String> {
    let found = all.get_mut(number).and_then(Option::as_mut);
    found.ok_or_else(|| format!("the {kind} has been freed"))
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

/// The numbers of 32 bits in the inbox.
fn numbers(inbox: &[u8]) -> Vec<f32> {
    let (words, _) = inbox.as_chunks::<4>();
    words.iter().map(|&word| f32::from_le_bytes(word)).collect()
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
        let text = about::json(loaded.borrow_dependent(), loaded.borrow_owner().bytes());
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

/// A new stream of a model, which waits for the word in the inbox, if there is one; gives its number.
#[unsafe(no_mangle)]
pub extern "C" fn open_stream(model: usize) -> i32 {
    with(|module| {
        let loaded = module.model(model)?.clone();
        let word = str::from_utf8(&module.inbox).unwrap_or("");
        let stream = Stream::new(loaded, word).map_err(|error| error.to_string())?;
        Ok::<_, String>(keep(&mut module.streams, stream))
    })
}

/// Takes the samples in the inbox, which are `f32`, or tokens as numbers. A record of words of four bytes is left for every answer: which
/// sample it came with, from 0; the outputs as `f32`; the score of a model that watches for anomalies or waits for a word, else NaN; and
/// whether it is an alarm. Gives how many there are.
#[unsafe(no_mangle)]
pub extern "C" fn run_stream(stream: usize) -> i32 {
    with(|module| {
        let stream = of(&mut module.streams, stream, "stream")?;
        let samples = numbers(&module.inbox);
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
    with(|module| {
        of(&mut module.streams, stream, "stream")?
            .reset()
            .map(|()| 0)
    })
}

/// Frees a stream.
#[unsafe(no_mangle)]
pub extern "C" fn free_stream(stream: usize) {
    drop(free(&mut MODULE.0.borrow_mut().streams, stream));
}

/// A new front end with the settings in the inbox, six `f32`: samples a second, samples of a frame and from one to the next, bands, and
/// the ends of the lowest and the highest one in Hz. Gives its number.
#[unsafe(no_mangle)]
pub extern "C" fn open_front() -> i32 {
    with(|module| {
        let &[rate, frame, hop, bands, low, high] = &numbers(&module.inbox)[..] else {
            return Err("a front end has six settings");
        };
        let settings = Settings {
            rate: rate as u32,
            frame: frame as usize,
            hop: hop as usize,
            bands: bands as usize,
            low,
            high,
        };
        // The error's own message holds floats, whose formatting takes 20 KB.
        let front = Front::new(settings).map_err(|_| "there is no front end of these settings")?;
        Ok(keep(&mut module.fronts, Box::new(front)))
    })
}

/// Takes the samples in the inbox, `f32` whose full scale is 1, and leaves the rows of the frames that end among them. Gives how many
/// there are.
#[unsafe(no_mangle)]
pub extern "C" fn hear(front: usize) -> i32 {
    with(|module| {
        let samples = numbers(&module.inbox);
        let front = of(&mut module.fronts, front, "front end")?;
        module.outbox.clear();
        let mut rows = 0;
        front.push_all(&samples, |row| {
            let bytes = row.iter().flat_map(|energy| energy.to_le_bytes());
            module.outbox.extend(bytes);
            rows += 1;
        });
        Ok::<_, String>(rows)
    })
}

/// Starts a front end anew.
#[unsafe(no_mangle)]
pub extern "C" fn reset_front(front: usize) -> i32 {
    with(|module| {
        of(&mut module.fronts, front, "front end")?.reset();
        Ok::<_, String>(0)
    })
}

/// Frees a front end.
#[unsafe(no_mangle)]
pub extern "C" fn free_front(front: usize) {
    drop(free(&mut MODULE.0.borrow_mut().fronts, front));
}
