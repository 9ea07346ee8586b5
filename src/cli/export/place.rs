//! Where an export goes: it is written beside its place under another name and put there when it is whole, so that nobody
//! sees half of one, and what was there before stays if it fails.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// What an export consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    File,
    /// A directory of files of these names.
    Directory(Vec<String>),
}

/// Why nothing is written at all.
#[derive(Debug)]
pub(super) enum Refused {
    /// In words.
    Because(String),
    Failed(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// An export that is being written.
#[derive(Debug)]
pub(super) struct Place {
    target: PathBuf,
    beside: PathBuf,
    form: Form,
}

impl Place {
    /// Looks whether a place may be written, and makes the one beside it.
    pub(super) fn begin(target: &Path, form: Form, force: bool) -> Result<Self, Refused> {
        let shown = target.display();
        let because = |why: String| Err(Refused::Because(why));
        let Some(name) = target.file_name() else {
            return because(format!("{shown} is no name that something can be written under"));
        };
        match fs::symlink_metadata(target) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e.into()),
            Ok(_) if !force => {
                return because(format!("{shown} is there already; give another --out, or --force to replace it"));
            }
            Ok(there) => match &form {
                Form::File if there.is_file() => {}
                Form::File => return because(format!("{shown} is no file that could be replaced; give another --out")),
                Form::Directory(_) if !there.is_dir() => {
                    return because(format!("{shown} is no directory that could be replaced; give another --out"));
                }
                Form::Directory(names) => {
                    if let Some(other) = foreign(target, names)? {
                        return because(format!(
                            "{shown} holds {other:?}, which no export made, and is not replaced; give another --out"
                        ));
                    }
                }
            },
        }
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}.part", std::process::id()));
        let place = Self { target: target.to_owned(), beside: target.with_file_name(beside), form };
        match &place.form {
            Form::File => drop(File::create_new(&place.beside)?),
            Form::Directory(_) => fs::create_dir(&place.beside)?,
        }
        Ok(place)
    }

    /// Returns the path to write to.
    pub(super) fn path(&self) -> &Path {
        &self.beside
    }

    /// Puts what was written in its place, once it is on the disk.
    pub(super) fn commit(self) -> io::Result<()> {
        match &self.form {
            Form::File => File::open(&self.beside)?.sync_all()?,
            Form::Directory(_) => {
                for entry in fs::read_dir(&self.beside)? {
                    File::open(entry?.path())?.sync_all()?;
                }
                if self.target.is_dir() {
                    // A directory cannot be renamed over one that holds something; the old one is out of the way first.
                    let old = self.beside.with_extension("old");
                    fs::rename(&self.target, &old)?;
                    if let Err(error) = fs::rename(&self.beside, &self.target) {
                        fs::rename(&old, &self.target)?;
                        return Err(error);
                    }
                    return fs::remove_dir_all(&old);
                }
            }
        }
        fs::rename(&self.beside, &self.target)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // After a commit there is nothing of that name any more.
        let _ = match self.form {
            Form::File => fs::remove_file(&self.beside),
            Form::Directory(_) => fs::remove_dir_all(&self.beside),
        };
    }
}

/// Returns the name of something in a directory that is none of an export's files.
fn foreign(dir: &Path, names: &[String]) -> io::Result<Option<String>> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.file_type()?.is_file() || !names.contains(&name) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn because(refused: Result<Place, Refused>) -> String {
        match refused {
            Err(Refused::Because(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_whole_or_not_there_and_replaced_only_if_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("run.json");
        let place = Place::begin(&target, Form::File, false).unwrap();
        fs::write(place.path(), "half").unwrap();
        assert!(!target.exists());
        drop(place);
        assert_eq!(names(dir.path()), [""; 0]);
        let place = Place::begin(&target, Form::File, false).unwrap();
        fs::write(place.path(), "whole").unwrap();
        place.commit().unwrap();
        assert_eq!(names(dir.path()), ["run.json"]);
        assert!(because(Place::begin(&target, Form::File, false)).contains("--force"));
        let place = Place::begin(&target, Form::File, true).unwrap();
        fs::write(place.path(), "new").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "whole");
        place.commit().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert!(because(Place::begin(dir.path(), Form::File, true)).contains("no file"));
        assert!(because(Place::begin(Path::new("/"), Form::File, true)).contains("no name"));
        let nowhere = dir.path().join("none/run.json");
        assert!(matches!(Place::begin(&nowhere, Form::File, false), Err(Refused::Failed(_))));
    }

    #[test]
    fn only_a_directory_of_an_export_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("run");
        let form = || Form::Directory(vec!["a.csv".to_owned(), "b.csv".to_owned()]);
        let place = Place::begin(&target, form(), false).unwrap();
        fs::write(place.path().join("a.csv"), "1").unwrap();
        fs::write(place.path().join("b.csv"), "1").unwrap();
        place.commit().unwrap();
        assert_eq!((names(dir.path()), names(&target)), (vec!["run".to_owned()], vec!["a.csv".into(), "b.csv".into()]));
        assert!(because(Place::begin(&target, form(), false)).contains("--force"));
        let place = Place::begin(&target, form(), true).unwrap();
        fs::write(place.path().join("a.csv"), "2").unwrap();
        place.commit().unwrap();
        assert_eq!((names(dir.path()), names(&target)), (vec!["run".to_owned()], vec!["a.csv".into()]));
        fs::write(target.join("thesis.txt"), "mine").unwrap();
        assert!(because(Place::begin(&target, form(), true)).contains("thesis.txt"));
        fs::remove_file(target.join("thesis.txt")).unwrap();
        fs::create_dir(target.join("b.csv")).unwrap();
        assert!(because(Place::begin(&target, form(), true)).contains("b.csv"));
        fs::write(dir.path().join("file"), "x").unwrap();
        assert!(because(Place::begin(&dir.path().join("file"), form(), true)).contains("no directory"));
    }
}
