//! Standard input as it arrives. A read may wait for days, so it waits in a thread of its own, and a signal ends the
//! input where it is.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// How long a signal may go unseen.
const WAKE: Duration = Duration::from_millis(100);

pub struct Live {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    used: usize,
    stopped: &'static AtomicBool,
}

impl Live {
    pub fn new(stopped: &'static AtomicBool) -> Self {
        let (sender, chunks) = sync_channel(4);
        thread::spawn(move || {
            let mut input = io::stdin().lock();
            let mut buffer = vec![0; 1 << 16];
            loop {
                let chunk = match input.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(read) => Ok(buffer[..read].to_vec()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let last = chunk.is_err();
                if sender.send(chunk).is_err() || last {
                    return;
                }
            }
        });
        Live {
            chunks,
            chunk: Vec::new(),
            used: 0,
            stopped,
        }
    }
}

impl Read for Live {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.used == self.chunk.len() {
            match self.chunks.recv_timeout(WAKE) {
                Ok(chunk) => (self.chunk, self.used) = (chunk?, 0),
                Err(RecvTimeoutError::Timeout) if !self.stopped.load(Ordering::Relaxed) => {}
                Err(_) => return Ok(0),
            }
        }
        let read = (&self.chunk[self.used..]).read(buffer)?;
        self.used += read;
        Ok(read)
    }
}
