//! The file's bytes as named f32 tensors.
//!
//! Two facts about files written by PyTorch matter here. `save_file` sorts by name, so the order in
//! the file says nothing about the order in the network. `save_model` writes tensors that share
//! memory (an output layer tied to the embedding) once and puts `removed name: kept name` into the
//! metadata; such names are read as if they were there.

use std::collections::BTreeMap;

use crate::filekind;
use anyhow::{Result, anyhow, bail, ensure};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// Names and tensors, without the ignored ones.
pub(super) struct StateDict<'a> {
    tensors: BTreeMap<String, TensorView<'a>>,
}

impl<'a> StateDict<'a> {
    pub(super) fn parse(bytes: &'a [u8], ignore: &[String]) -> Result<Self> {
        // The first bytes of another kind may also begin a header's length: so only if reading fails.
        let broken = |e| match filekind::of(bytes).filter(|_| bytes.get(8) != Some(&b'{')) {
            Some(kind) => anyhow!("this is {}; {}", kind.name, kind.as_model),
            None => anyhow!("not a whole safetensors file ({} bytes): {e}", bytes.len()),
        };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
        let file = SafeTensors::deserialize(bytes).map_err(broken)?;

        let mut tensors: BTreeMap<String, TensorView<'a>> = file.tensors().into_iter().collect();
        for (removed, kept) in header.metadata().iter().flatten() {
            if !tensors.contains_key(removed)
                && let Ok(tensor) = file.tensor(kept)
            {
                tensors.insert(removed.clone(), tensor);
            }
        }
        tensors.retain(|name, _| {
            !ignore
                .iter()
                .any(|prefix| name.starts_with(prefix.as_str()))
        });
        ensure!(
            !tensors.is_empty(),
            "there is no tensor in it (that is not ignored)"
        );
        Ok(StateDict { tensors })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor that is there.
    pub(super) fn shape(&self, name: &str) -> &[usize] {
        self.tensors[name].shape()
    }

    /// The numbers of a tensor that is there; `shape` is what its place in the network asks for,
    /// and `why` says where that comes from.
    pub(super) fn read(&self, name: &str, shape: &[usize], why: &str) -> Result<Vec<f32>> {
        let tensor = &self.tensors[name];
        ensure!(
            tensor.shape() == shape,
            "tensor `{name}`: shape {:?}, expected {shape:?} {why}",
            tensor.shape()
        );
        let bytes = tensor.data();
        let values: Vec<f32> = match tensor.dtype() {
            Dtype::F32 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
            Dtype::F64 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f64::from_le_bytes(*b) as f32)
                .collect(),
            Dtype::F16 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| half::f16::from_le_bytes(*b).to_f32())
                .collect(),
            Dtype::BF16 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| half::bf16::from_le_bytes(*b).to_f32())
                .collect(),
            other => bail!(
                "tensor `{name}`: type {other:?}, expected F32, F64, F16 or BF16: convert it with \
                 model.float() before saving"
            ),
        };
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            bail!(
                "tensor `{name}`: {} at index {at} of shape {shape:?}, expected a finite f32: the \
                 training diverged or the file is damaged",
                values[at]
            );
        }
        Ok(values)
    }
}
