//! Names by the order in which they were met first.

use std::collections::HashMap;
use std::sync::Arc;

/// The places of names.
#[derive(Debug, Default)]
pub struct Places {
    found: HashMap<Arc<[u8]>, u32>,
    names: Vec<Name>,
    /// Of the last name that was looked for.
    last: u32,
}

#[derive(Debug)]
struct Name {
    name: Arc<[u8]>,
    /// The name that came next after the last time, which is where the next is looked for first.
    next: u32,
}

impl Places {
    /// The place of a name, which is that of a new one if it was not met before.
    pub fn of(&mut self, name: &[u8]) -> u32 {
        // Most tables have a device's rows in a row, or all devices in turn.
        let last = self.names.get(self.last as usize);
        for place in [Some(self.last), last.map(|last| last.next)]
            .into_iter()
            .flatten()
        {
            let known = self.names.get(place as usize);
            if known.is_some_and(|known| *known.name == *name) {
                self.last = place;
                return place;
            }
        }
        let place = self.sought(name);
        if let Some(last) = self.names.get_mut(self.last as usize) {
            last.next = place;
        }
        self.last = place;
        place
    }

    fn sought(&mut self, name: &[u8]) -> u32 {
        if let Some(&place) = self.found.get(name) {
            return place;
        }
        let place = self.names.len() as u32;
        let name: Arc<[u8]> = name.into();
        self.found.insert(name.clone(), place);
        self.names.push(Name { name, next: place });
        place
    }

    /// Whether a name was met.
    pub fn has(&self, name: &[u8]) -> bool {
        self.found.contains_key(name)
    }

    /// All names, by their places.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.names.iter().map(|known| &*known.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_place_in_whatever_order_it_comes() {
        let mut places = Places::default();
        let met = [
            "a", "b", "c", "a", "b", "c", "c", "c", "a", "", "b", "", "a",
        ];
        let found: Vec<u32> = met.iter().map(|name| places.of(name.as_bytes())).collect();
        assert_eq!(found, [0, 1, 2, 0, 1, 2, 2, 2, 0, 3, 1, 3, 0]);
        let names: Vec<&[u8]> = places.names().collect();
        assert_eq!(names, [&b"a"[..], b"b", b"c", b""]);
        assert!(places.has(b"c") && !places.has(b"d"));
    }
}
