//! Text through the debugger's connection.

use core::fmt;
use semihosting::io::{Stdout, Write};

pub struct Console(pub Stdout);

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}
