//! The cores that a call is spread over: threads of this very process. A fork has the memory of its parent's pool and none of its
//! threads, and would wait for them for ever, so a process that finds the pool of another makes one of its own.

use anyhow::Context;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::process;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A pool, and the process whose it is. No lock: a fork might find it held by a thread that it does not have.
static POOL: AtomicPtr<(u32, ThreadPool)> = AtomicPtr::new(null_mut());

/// This process' pool.
pub fn pool() -> anyhow::Result<&'static ThreadPool> {
    loop {
        let found = POOL.load(Ordering::Acquire);
        // SAFETY: it is null, or was put there below, where it is never taken back nor written to.
        match unsafe { found.as_ref() } {
            Some((process, pool)) if *process == process::id() => return Ok(pool),
            _ => {}
        }
        let pool = ThreadPoolBuilder::new().build();
        let pool = pool.context("no threads to spread the work over")?;
        let made = Box::into_raw(Box::new((process::id(), pool)));
        // What a parent left behind stays where it is: its threads are not there to be ended.
        let put = POOL.compare_exchange(found, made, Ordering::AcqRel, Ordering::Acquire);
        if put.is_err() {
            // SAFETY: another thread was first, so nobody else has seen this one.
            drop(unsafe { Box::from_raw(made) });
        }
    }
}
