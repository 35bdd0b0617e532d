//! ZIP archives, of which nothing larger than what was asked for is unpacked.

use anyhow::{Result, anyhow, ensure};
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// An archive in memory.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Bytes that may still be unpacked.
    left: u64,
}

impl<'a> Archive<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let zip = ZipArchive::new(Cursor::new(bytes));
        let zip =
            zip.map_err(|e| anyhow!("not a whole ZIP archive ({} bytes): {e}", bytes.len()))?;
        // Weights hardly pack: more than this is not a network.
        let left = (bytes.len() as u64)
            .saturating_mul(16)
            .saturating_add(1 << 20);
        Ok(Archive { zip, left })
    }

    /// Names of the files in it.
    pub(super) fn names(&self) -> Vec<String> {
        self.zip
            .file_names()
            .flatten()
            .map(|name| name.into_owned())
            .collect()
    }

    /// One file.
    pub(super) fn read(&mut self, name: &str) -> Result<Vec<u8>> {
        let file = self
            .zip
            .by_name(name)
            .map_err(|e| anyhow!("{name} in it cannot be read: {e}"))?;
        let mut bytes = Vec::new();
        let read = file.take(self.left + 1).read_to_end(&mut bytes);
        let read = read.map_err(|e| anyhow!("{name} in it cannot be read: {e}"))? as u64;
        ensure!(
            read <= self.left,
            "{name} in it is more than sixteen times as large as the file"
        );
        self.left -= read;
        Ok(bytes)
    }
}
