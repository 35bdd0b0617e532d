//! How far the rounding of a network has come, for whoever waits for it: minutes where layers are thousands of units wide.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

type Watcher = Box<dyn Fn(f64) + Send + Sync>;

static WATCHER: OnceLock<Watcher> = OnceLock::new();
static DONE: AtomicU64 = AtomicU64::new(0);
static TOTAL: AtomicU64 = AtomicU64::new(0);

/// Work of about a second: what is less is not told.
const LONG: u64 = 1 << 29;

/// From here on `watcher` is told which share of a network's rows have been rounded, from several threads. Only the
/// first watcher of a process counts, and only what takes a second or more is told.
pub fn watch(watcher: impl Fn(f64) + Send + Sync + 'static) {
    let _ = WATCHER.set(Box::new(watcher));
}

/// A network whose rows are so much work, in weights times width, is rounded next.
pub(crate) fn begin(work: usize) {
    DONE.store(0, Ordering::Relaxed);
    TOTAL.store(work as u64, Ordering::Relaxed);
    tell(0);
}

pub(super) fn done(work: usize) {
    let before = DONE.fetch_add(work as u64, Ordering::Relaxed);
    tell(before + work as u64);
}

fn tell(done: u64) {
    let total = TOTAL.load(Ordering::Relaxed);
    if let (Some(watcher), true) = (WATCHER.get(), total >= LONG) {
        watcher((done as f64 / total as f64).min(1.0));
    }
}
