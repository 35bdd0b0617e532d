//! Named tensors, whatever container they lay in.
//!
//! Names are cleaned here: what training wrote beside the network is left out and told, copies of the network (moving averages)
//! are chosen by a flag; weight norms, spectral norms and pruning are folded.

use super::{ImportOptions, quoted};
use anyhow::{Result, bail, ensure};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Names and tensors.
#[derive(Debug, Default)]
pub(super) struct StateDict<'a> {
    pub(super) tensors: BTreeMap<String, Stored<'a>>,
    /// What was left out or folded.
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Stored<'a> {
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Numbers<'a>,
}

#[derive(Debug, Clone)]
pub(super) enum Numbers<'a> {
    /// Little endian, as many as the shape says.
    Bytes(Float, Cow<'a, [u8]>),
    F32(Vec<f32>),
    /// A type that no parameter has, as its container calls it.
    Other(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Float {
    F64,
    F32,
    F16,
    Bf16,
}

/// Under these names checkpoints keep a network among other things.
const PARTS: [&str; 12] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "ema",
    "ema_model",
    "model_ema",
    "ema_state_dict",
    "state_dict_ema",
    "module",
];

/// Words in the names of copies.
const COPIES: [&str; 10] = [
    "ema", "best", "last", "swa", "avg", "averaged", "shadow", "teacher", "target", "dict",
];

/// And under names that begin so, what only training needs.
const TRAINING: [&str; 6] = [
    "optim",
    "opt_state",
    "scheduler",
    "lr_scheduler",
    "loops",
    "callbacks",
];

impl<'a> StateDict<'a> {
    /// Brings the names into PyTorch's, as far as flags say so, and leaves out what is no part of the network.
    pub(super) fn cleaned(mut self, options: &ImportOptions) -> Result<Self> {
        for rename in &options.rename {
            let Some((from, to)) = rename.split_once('=') else {
                bail!("--rename {rename}: expected OLD=NEW")
            };
            let Some(tensor) = self.tensors.remove(from) else {
                bail!("--rename {rename}: there is no tensor `{from}`")
            };
            let taken = self.tensors.insert(to.to_owned(), tensor);
            ensure!(
                taken.is_none(),
                "--rename {rename}: there is a tensor `{to}` already"
            );
        }
        let ignored = |name: &str| {
            options
                .ignore
                .iter()
                .any(|prefix| name.starts_with(prefix.as_str()))
        };
        for prefix in &options.ignore {
            ensure!(
                self.tensors
                    .keys()
                    .any(|name| name.starts_with(prefix.as_str())),
                "--ignore {prefix}: no tensor's name begins so"
            );
        }
        let left_out = quoted(self.tensors.keys().filter(|name| ignored(name)));
        self.tensors.retain(|name, _| !ignored(name));
        if !left_out.is_empty() {
            self.notes.push(format!(
                "--ignore leaves out {left_out}: the model is a network without what is left out, and the proof is of that one"
            ));
        }
        match &options.part {
            Some(part) => {
                let prefix = self.prefix(part)?;
                let all = std::mem::take(&mut self.tensors);
                let own = all.into_iter().filter_map(|(name, tensor)| {
                    Some((name.strip_prefix(&prefix)?.to_owned(), tensor))
                });
                self.tensors = own.collect();
            }
            None => self.only_the_network()?,
        }
        ensure!(
            !self.tensors.is_empty(),
            "there is no tensor in it (that is not ignored)"
        );
        self.fold_norms()?;
        self.fold_masks()?;
        self.no_running_normaliser()?;
        self.leave_out_numbers();
        Ok(self)
    }

    /// Leaves out optimizers and counters; refuses to choose between copies.
    fn only_the_network(&mut self) -> Result<()> {
        let first = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
        self.tensors.retain(|name, _| {
            let (root, leaf) = (first(name), name.rsplit('.').next().unwrap_or_default());
            let training = name.contains('.') && TRAINING.iter().any(|t| root.starts_with(t));
            let counter = matches!(leaf, "num_batches_tracked" | "n_averaged");
            if training || counter {
                *left_out
                    .entry(if training { root } else { leaf.to_owned() })
                    .or_default() += 1;
            }
            !training && !counter
        });
        for (name, count) in left_out {
            self.notes.push(format!(
                "`{name}` ({count} tensors) is of training and left out"
            ));
        }
        let recurrent = |name: &&String| {
            name.rsplit('.')
                .next()
                .is_some_and(|leaf| leaf.starts_with("weight_hh"))
        };
        let roots: BTreeSet<String> = self
            .tensors
            .keys()
            .filter(recurrent)
            .map(|name| first(name))
            .collect();
        let copies: Vec<&str> = PARTS
            .into_iter()
            .filter(|part| roots.contains(*part))
            .collect();
        let copies: Vec<String> = match copies.len() {
            2.. => copies.into_iter().map(str::to_owned).collect(),
            _ => self.copies(),
        };
        if copies.len() > 1 {
            bail!(
                "there are several copies of the network in it, {}: choose one with --part NAME, such as --part {}",
                copies
                    .iter()
                    .map(|c| format!("`{c}`"))
                    .collect::<Vec<_>>()
                    .join(" and "),
                copies[0]
            );
        }
        Ok(())
    }

    /// What the names of a part's tensors begin with: the part, or what ends with it.
    fn prefix(&self, part: &str) -> Result<String> {
        let first = format!("{part}.");
        if self.names().any(|name| name.starts_with(&first)) {
            return Ok(first);
        }
        let inner = format!(".{first}");
        let found = self.names().filter_map(|name| {
            let at = name.find(&inner)?;
            Some(name[..at + inner.len()].to_owned())
        });
        let found: Vec<String> = found.collect::<BTreeSet<_>>().into_iter().collect();
        match &found[..] {
            [one] => Ok(one.clone()),
            [] => bail!(
                "--part {part}: no tensor's name begins with `{first}`, nor has `{inner}` in it"
            ),
            several => bail!(
                "--part {part}: that may be {}: give the whole of one, without the last dot",
                several.join(" or ")
            ),
        }
    }

    /// The parts that have cells of their own: where the names of all cells have parted first, if there is more than one.
    pub(super) fn parts(&self) -> Vec<String> {
        let cells = self.names().filter(|name| {
            let leaf = name.rsplit('.').next();
            leaf.is_some_and(|leaf| leaf.starts_with("weight_hh"))
        });
        // A part has modules, and these tensors.
        let mut cells: Vec<Vec<&str>> = cells.map(|name| name.split('.').collect()).collect();
        cells
            .iter_mut()
            .for_each(|path| path.truncate(path.len().saturating_sub(2)));
        let Some(first) = cells.first().cloned() else {
            return Vec::new();
        };
        let shared = (0..first.len())
            .take_while(|&k| cells.iter().all(|path| path.get(k) == first.get(k)))
            .count();
        let parts = cells.iter().filter(|path| path.len() > shared);
        let parts: BTreeSet<String> = parts.map(|path| path[..=shared].join(".")).collect();
        parts.into_iter().collect()
    }

    /// Those of them that have the same shapes, if one is called what copies are.
    fn copies(&self) -> Vec<String> {
        let parts = self.parts();
        let shapes = |part: &String| {
            let prefix = format!("{part}.");
            let own = (self.tensors.iter())
                .filter(|(name, t)| name.starts_with(&prefix) && t.shape.len() > 1);
            let mut shapes: Vec<&[usize]> = own.map(|(_, t)| &t.shape[..]).collect();
            shapes.sort_unstable();
            shapes
        };
        let is_copy = |part: &String| {
            let name = part.rsplit('.').next().unwrap_or_default();
            name.split('_')
                .any(|word| COPIES.contains(&&*word.to_ascii_lowercase()))
        };
        let alike = parts
            .windows(2)
            .all(|two| shapes(&two[0]) == shapes(&two[1]));
        match alike && parts.iter().any(is_copy) {
            true => parts,
            false => Vec::new(),
        }
    }

    /// What reinforcement learning normalises observations by looks like an nn.BatchNorm1d that counts, but cuts what it gives.
    fn no_running_normaliser(&self) -> Result<()> {
        let names = self.tensors.keys();
        let mut counted = names.filter_map(|name| name.strip_suffix(".running_mean"));
        let counted = counted.find(|module| self.contains(&format!("{module}.count")));
        if let Some(module) = counted {
            bail!(
                "`{module}` counts its samples (`{module}.count`), as what normalises observations in reinforcement learning does (rl_games' RunningMeanStd), \
                 and not an nn.BatchNorm1d: it cuts what is beyond ±5 deviations, which a state dict does not say. Export the network to ONNX with it; or, where \
                 samples stay within, give --ignore {module}, --input-mean with its `running_mean` and --input-std with √(`running_var` + 1e-5)"
            );
        }
        Ok(())
    }

    /// `g · v / |v|` of every row, as both forms of weight_norm keep it.
    fn fold_norms(&mut self) -> Result<()> {
        let names: Vec<String> = self.tensors.keys().cloned().collect();
        for size in names {
            let (direction, weight) = if let Some(base) = size.strip_suffix("_g") {
                (format!("{base}_v"), base.to_owned())
            } else if let Some(base) = size.strip_suffix(".original0")
                && let Some((module, weight)) = base.rsplit_once("parametrizations.")
            {
                (format!("{base}.original1"), format!("{module}{weight}"))
            } else {
                continue;
            };
            let Some(shape) = self.tensors.get(&direction).map(|v| v.shape.clone()) else {
                continue;
            };
            let rows = shape.first().copied().unwrap_or(0);
            let size_shape = self.tensors[&size].shape.clone();
            ensure!(
                size_shape.iter().product::<usize>() == rows && size_shape.first() == Some(&rows),
                "tensor `{size}`: shape {size_shape:?}, expected one number for each of the {rows} rows of `{direction}`: \
                 a weight_norm over another dimension than 0"
            );
            let g = self.read(&size, &size_shape, "")?;
            let mut v = self.read(&direction, &shape, "")?;
            let width = v.len() / rows.max(1);
            for (row, g) in v.chunks_mut(width.max(1)).zip(g) {
                let norm = row
                    .iter()
                    .map(|x| f64::from(*x).powi(2))
                    .sum::<f64>()
                    .sqrt();
                row.iter_mut()
                    .for_each(|x| *x = (f64::from(g) * f64::from(*x) / norm) as f32);
            }
            self.tensors.remove(&size);
            self.tensors.remove(&direction);
            self.put(&weight, shape, v, &format!("its weight_norm `{size}`"))?;
            self.notes
                .push(format!("the weight_norm of `{weight}` is folded into it"));
        }
        Ok(())
    }

    /// Folds pruning (`weight_orig` times `weight_mask`) and spectral norms: weights by their largest singular value, `uᵀ W v` of the
    /// vectors that training has left (`weight_u` and `weight_v`; `parametrizations.weight.0._u` and `._v` in new files).
    fn fold_masks(&mut self) -> Result<()> {
        let names: Vec<String> = self.tensors.keys().cloned().collect();
        for original in names {
            let (weight, mask, vectors) = if let Some(base) = original.strip_suffix("_orig") {
                let vectors = ["u", "v"].map(|vector| format!("{base}_{vector}"));
                (base.to_owned(), format!("{base}_mask"), vectors)
            } else if let Some(base) = original.strip_suffix(".original")
                && let Some((module, weight)) = base.rsplit_once("parametrizations.")
            {
                let vectors = ["u", "v"].map(|vector| format!("{base}.0._{vector}"));
                (format!("{module}{weight}"), String::new(), vectors)
            } else {
                continue;
            };
            let shape = self.tensors[&original].shape.clone();
            let (what, w) = if self.contains(&mask) {
                let mask = self.read(&mask, &shape, "")?;
                let mut w = self.read(&original, &shape, "")?;
                w.iter_mut().zip(mask).for_each(|(w, mask)| *w *= mask);
                ("pruning", w)
            } else if vectors.iter().all(|vector| self.contains(vector)) {
                let rows = shape.first().copied().unwrap_or(0);
                let mut w = self.read(&original, &shape, "")?;
                let width = w.len() / rows.max(1);
                let u = self.read(&vectors[0], &[rows], "")?;
                let v = self.read(&vectors[1], &[width], "")?;
                let dot = |a: &[f32], b: &[f32]| -> f64 {
                    a.iter()
                        .zip(b)
                        .map(|(a, b)| f64::from(*a) * f64::from(*b))
                        .sum()
                };
                let along = w.chunks(width.max(1)).zip(&u);
                let largest: f64 = along.map(|(row, u)| f64::from(*u) * dot(row, &v)).sum();
                w.iter_mut()
                    .for_each(|w| *w = (f64::from(*w) / largest) as f32);
                ("spectral_norm", w)
            } else {
                continue;
            };
            self.put(&weight, shape, w, "what it is made of")?;
            self.tensors.remove(&original);
            self.tensors.remove(&mask);
            vectors
                .iter()
                .for_each(|vector| drop(self.tensors.remove(vector)));
            self.notes
                .push(format!("the {what} of `{weight}` is folded into it"));
        }
        Ok(())
    }

    /// A tensor in place of what it is made of.
    fn put(&mut self, name: &str, shape: Vec<usize>, values: Vec<f32>, of: &str) -> Result<()> {
        let numbers = Numbers::F32(values);
        let folded = Stored { shape, numbers };
        let before = self.tensors.insert(name.to_owned(), folded);
        ensure!(before.is_none(), "tensor `{name}` is there beside {of}");
        Ok(())
    }

    /// Leaves out numbers alone, which no module has.
    fn leave_out_numbers(&mut self) {
        let alone = self.tensors.iter().filter(|(_, t)| t.shape.is_empty());
        let names: Vec<String> = alone.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.tensors.remove(&name);
            self.notes.push(format!(
                "`{name}` is a number alone, of no module that is read, and left out: where the outputs depend on it (a factor, a temperature), export the network to ONNX"
            ));
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor that is there.
    pub(super) fn shape(&self, name: &str) -> &[usize] {
        &self.tensors[name].shape
    }

    /// The numbers of a tensor that is there; `shape` is what its place in the network asks for,
    /// and `why` says where that comes from.
    pub(super) fn read(&self, name: &str, shape: &[usize], why: &str) -> Result<Vec<f32>> {
        let tensor = &self.tensors[name];
        ensure!(
            tensor.shape == shape,
            "tensor `{name}`: shape {:?}, expected {shape:?} {why}",
            tensor.shape
        );
        let values: Vec<f32> = match &tensor.numbers {
            Numbers::F32(values) => values.clone(),
            Numbers::Bytes(float, bytes) => floats(*float, bytes),
            Numbers::Other(other) => bail!(
                "tensor `{name}`: type {other}, expected F32, F64, F16 or BF16: convert it with \
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

fn floats(float: Float, bytes: &[u8]) -> Vec<f32> {
    fn each<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|b| f(*b)).collect()
    }
    match float {
        Float::F32 => each(bytes, f32::from_le_bytes),
        Float::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        Float::F16 => each(bytes, |b| half::f16::from_le_bytes(b).to_f32()),
        Float::Bf16 => each(bytes, |b| half::bf16::from_le_bytes(b).to_f32()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruning_and_spectral_norms_are_folded() {
        let tensors = [
            ("a.weight_orig", vec![2, 2], vec![3.0, 1.0, 2.0, 4.0]),
            ("a.weight_mask", vec![2, 2], vec![1.0, 0.0, 0.0, 1.0]),
            ("b.weight_orig", vec![2, 2], vec![3.0, 0.0, 0.0, 6.0]),
            ("b.weight_u", vec![2], vec![0.0, 1.0]),
            ("b.weight_v", vec![2], vec![0.0, 1.0]),
            (
                "c.parametrizations.weight.original",
                vec![1, 2],
                vec![8.0, 6.0],
            ),
            ("c.parametrizations.weight.0._u", vec![1], vec![1.0]),
            ("c.parametrizations.weight.0._v", vec![2], vec![0.8, 0.6]),
        ];
        let tensors = tensors.map(|(name, shape, values)| {
            let numbers = Numbers::F32(values);
            (name.to_owned(), Stored { shape, numbers })
        });
        let mut dict = StateDict {
            tensors: tensors.into(),
            notes: Vec::new(),
        };
        dict.fold_masks().unwrap();
        let names: Vec<&str> = dict.names().collect();
        assert_eq!(names, ["a.weight", "b.weight", "c.weight"]);
        assert_eq!(
            dict.read("a.weight", &[2, 2], "").unwrap(),
            [3.0, 0.0, 0.0, 4.0]
        );
        assert_eq!(
            dict.read("b.weight", &[2, 2], "").unwrap(),
            [0.5, 0.0, 0.0, 1.0]
        );
        let c = dict.read("c.weight", &[1, 2], "").unwrap();
        assert!(
            (c[0] - 0.8).abs() < 1e-6 && (c[1] - 0.6).abs() < 1e-6,
            "{c:?}"
        );
    }
}
