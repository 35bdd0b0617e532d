//! A model together with the bytes of its file.

use engine::Model;
use kinglet_trainer::model_file::ModelFile;
use self_cell::self_cell;
use std::path::Path;

self_cell! {
    /// A model file, and the model that looks into it.
    pub struct Loaded {
        owner: ModelFile,
        #[covariant]
        dependent: Model,
    }
}

impl Loaded {
    /// From a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        Loaded::of(ModelFile::read(path)?)
    }

    /// From a file that has been read.
    pub fn of(file: ModelFile) -> anyhow::Result<Self> {
        Loaded::try_new(file, ModelFile::model)
    }

    /// The model.
    pub fn model(&self) -> &Model<'_> {
        self.borrow_dependent()
    }

    /// Its file.
    pub fn file(&self) -> &ModelFile {
        self.borrow_owner()
    }
}
