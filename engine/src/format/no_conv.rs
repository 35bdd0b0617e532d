//! What stands in for `conv.rs` in firmware without the feature of that name: no value of its types can exist, so the compiler
//! leaves out all that is done with one, and a model takes no memory for it.

/// What a convolution sees, where there is none: see the feature `conv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvShape {}

#[allow(missing_docs, reason = "as where there are convolutions")]
impl ConvShape {
    pub const fn inputs(&self) -> usize {
        match *self {}
    }

    pub const fn taps(&self) -> usize {
        match *self {}
    }

    pub const fn remembered(&self) -> usize {
        match *self {}
    }

    pub const fn positions(&self) -> usize {
        match *self {}
    }

    pub const fn answers(&self, _: [usize; 2]) -> [usize; 2] {
        match *self {}
    }

    pub const fn pool(&self) -> Option<super::Pool> {
        match *self {}
    }

    pub(crate) const fn layout_of_past(&self) -> [usize; 3] {
        match *self {}
    }

    pub fn gather<T>(&self, _: usize, _: &[T], _: &[T], _: &mut [T]) {
        match *self {}
    }

    pub fn remember<T>(&self, _: &[T], _: &mut [T]) {
        match *self {}
    }
}

/// Numbers of a normalisation or a join, where there is none: see the feature `conv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {}

#[allow(missing_docs, reason = "as where there are some")]
impl Width {
    pub const fn get(&self) -> usize {
        match *self {}
    }
}
