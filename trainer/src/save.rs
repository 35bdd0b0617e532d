//! Files that are written whole or not at all: under a temporary name in the same folder, to the disk, then renamed.
//!
//! A link is followed, so it goes on leading where it led, and a file that is replaced keeps its mode and owner. What is
//! no file (a folder, a device, a pipe) is refused, and so is what the program reads.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Links that lead to links.
const LINKS: usize = 40;

/// Fails while nothing has been computed yet if a file could not be written in the end, or is one of those that are read.
///
/// # Errors
/// With the reason and what to do.
pub fn writable(path: &Path, inputs: &[&Path]) -> Result<()> {
    let shown = path.display();
    if path == Path::new("-") {
        bail!(
            "cannot write to the standard output; give the name of a file (./- if it is called so)"
        );
    }
    let target = target(path)?;
    let folder = folder(&target);
    folder.read_dir().with_context(|| {
        let folder = folder.display();
        format!("cannot write {shown}: there is no folder {folder}; create it first")
    })?;
    let input = inputs.iter().find(|input| is_same(&target, input));
    if let Some(input) = input {
        bail!(
            "cannot write {shown}: it is {}, which is read; give another name",
            input.display()
        );
    }
    let streams = [
        ("/dev/stdin", "is read as the standard input"),
        ("/dev/stdout", "takes the standard output"),
    ];
    let stream = streams
        .iter()
        .find(|(stream, _)| is_same(&target, Path::new(stream)));
    if let Some((_, what)) = stream {
        bail!("cannot write {shown}: it {what}; give another name");
    }
    Ok(())
}

/// Writes a file.
///
/// # Errors
/// With the reason; what was there before is then still there.
pub fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    let target = target(path)?;
    let folder = folder(&target);
    let mut file = temporary().tempfile_in(folder).with_context(context)?;
    if let Ok(before) = fs::metadata(&target) {
        keep_mode(file.as_file(), &before).with_context(context)?;
    }
    file.write_all(bytes).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    file.persist(&target).with_context(context)?;
    // The name too; not every system can.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// What lies beside a file and belongs to it: `pump.history.csv` beside `pump.kgl`, where `kgl` is the file's usual
/// extension; beside `m.v1` it is `m.v1.history.csv`, so that `m.v2` has another.
pub fn beside(path: &Path, usual: &str, ending: &str) -> PathBuf {
    let is_usual = path.extension().is_some_and(|extension| extension == usual);
    let name = if is_usual {
        path.file_stem()
    } else {
        path.file_name()
    };
    let mut name = name.unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

fn folder(path: &Path) -> &Path {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Where links lead, if that is or can become a file.
fn target(path: &Path) -> Result<PathBuf> {
    let shown = path.display();
    let found = fs::metadata(path).ok();
    let is_folder = found.as_ref().is_some_and(Metadata::is_dir);
    if is_folder || path.to_string_lossy().ends_with(std::path::is_separator) {
        bail!("cannot write {shown}: it is a folder; give the name of a file");
    }
    if found.is_some_and(|found| !found.is_file()) {
        bail!(
            "cannot write {shown}: it is a device or pipe, which cannot be replaced; give the name of a file"
        );
    }
    let mut target = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&target) {
            Ok(next) => target = folder(&target).join(next),
            Err(_) => {
                return match fs::metadata(&target) {
                    Ok(_) => Ok(target),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(target),
                    Err(error) => Err(error).with_context(|| format!("cannot write {shown}")),
                };
            }
        }
    }
    bail!("cannot write {shown}: its links lead in a circle")
}

fn is_same(target: &Path, input: &Path) -> bool {
    #[cfg(unix)]
    if let (Ok(a), Ok(b)) = (fs::metadata(target), fs::metadata(input)) {
        use std::os::unix::fs::MetadataExt;
        return (a.dev(), a.ino()) == (b.dev(), b.ino());
    }
    if let (Ok(a), Ok(b)) = (target.canonicalize(), input.canonicalize()) {
        return a == b;
    }
    // What is not there yet, but is looked for under this name.
    let place = |path: &Path| {
        Some((
            folder(path).canonicalize().ok()?,
            path.file_name()?.to_owned(),
        ))
    };
    place(target).is_some_and(|at| place(input) == Some(at))
}

#[cfg(unix)]
fn keep_mode(file: &File, before: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    // Only root may give a file away; whoever else replaces it owns it.
    let _ = fchown(file, Some(before.uid()), Some(before.gid()));
    file.set_permissions(before.permissions())
}

#[cfg(not(unix))]
fn keep_mode(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Readable by whom the user's mask lets read, as any new file is.
fn temporary() -> tempfile::Builder<'static, 'static> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn links_lead_on_and_modes_stay() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("real"), "old").unwrap();
        fs::set_permissions(at("real"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real", at("link")).unwrap();
        symlink("new", at("dangling")).unwrap();
        save(&at("link"), b"one").unwrap();
        save(&at("dangling"), b"two").unwrap();
        assert_eq!(fs::read(at("real")).unwrap(), b"one");
        assert_eq!(fs::read(at("new")).unwrap(), b"two");
        assert!(at("link").is_symlink() && at("dangling").is_symlink());
        let mode = fs::metadata(at("real")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn what_belongs_to_two_files_never_is_one() {
        let name = |path| {
            beside(Path::new(path), "kgl", "history.csv")
                .display()
                .to_string()
        };
        assert_eq!(name("a/pump.kgl"), "a/pump.history.csv");
        assert_eq!(name("m.v1"), "m.v1.history.csv");
        assert_eq!(name("m.v2"), "m.v2.history.csv");
    }

    #[test]
    fn inputs_devices_pipes_folders_and_circles_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("data.csv"), "a").unwrap();
        symlink("data.csv", at("link")).unwrap();
        fs::hard_link(at("data.csv"), at("hard")).unwrap();
        symlink("b", at("a")).unwrap();
        symlink("a", at("b")).unwrap();
        let data = at("data.csv");
        let refused = |path: &Path| writable(path, &[&data]).unwrap_err().to_string();
        for name in ["data.csv", "link", "hard"] {
            assert!(refused(&at(name)).contains("which is read"), "{name}");
        }
        assert!(refused(folder.path()).contains("it is a folder"));
        assert!(refused(Path::new("/dev/null")).contains("device or pipe"));
        assert!(refused(&at("new/")).contains("it is a folder"));
        assert!(refused(Path::new("-")).contains("standard output"));
        assert!(refused(&at("a")).contains("circle"));
        assert!(refused(&at("no/where")).contains("there is no folder"));
        assert!(writable(&at("m.kgl"), &[&data, &at("missing")]).is_ok());
        let missing = writable(&at("missing"), &[&at("missing")]);
        assert!(missing.unwrap_err().to_string().contains("which is read"));
        assert!(save(Path::new("/dev/null"), b"x").is_err());
    }
}
