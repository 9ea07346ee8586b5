//! `soakd manual`: writes man pages and shell completions from the arguments themselves, for packages.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

/// What the pages say beside the arguments, in roff.
const MORE: &str = include_str!("manual/more.roff");
/// Begins the part of [`MORE`] that only the page of soakd itself has.
const TOP: &str = ".\\\" Only soakd(1)\n";

/// Writes man pages and shell completions into a directory.
#[derive(Debug, Args)]
pub struct ManualArgs {
    /// What to write
    #[arg(value_enum)]
    what: What,
    /// Directory to write into; it is made when it is absent
    dir: PathBuf,
}

/// What can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// One page for soakd and one for each of its commands
    Man,
    /// For bash, zsh and fish
    Completions,
}

/// Writes what is asked for, and prints where.
pub fn run(args: ManualArgs, mut command: Command) -> anyhow::Result<u8> {
    let dir = &args.dir;
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    // `soakd help COMMAND` shows what the pages of the commands show.
    command = command.disable_help_subcommand(true);
    command.build();
    match args.what {
        What::Man => pages(&command, dir).with_context(|| format!("writing man pages to {}", dir.display()))?,
        What::Completions => {
            let mut shown = shown(&command);
            for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
                clap_complete::generate_to(shell, &mut shown, "soakd", dir)
                    .with_context(|| format!("writing completions to {}", dir.display()))?;
            }
        }
    }
    println!("written to {}", dir.display());
    Ok(super::EXIT_OK)
}

/// Returns the command with only those of its commands that people are to see.
fn shown(command: &Command) -> Command {
    let visible = command.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut shown = Command::new("soakd").version(env!("CARGO_PKG_VERSION")).disable_help_subcommand(true);
    shown = shown.about(command.get_about().cloned().unwrap_or_default()).subcommand_required(true);
    shown.subcommands(visible)
}

/// Writes the page of a command and of those below it, without hidden ones.
fn pages(command: &Command, dir: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages(below, dir)?;
    }
    let source = concat!("soakd ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source).manual("User Commands");
    let mut file = File::create(dir.join(man.get_filename()))?;
    man.render_title(&mut file)?;
    man.render_name_section(&mut file)?;
    man.render_synopsis_section(&mut file)?;
    man.render_description_section(&mut file)?;
    man.render_options_section(&mut file)?;
    let top = command.get_name() == "soakd";
    if command.has_subcommands() {
        man.render_subcommands_section(&mut file)?;
    }
    let (every, only_top) = MORE.split_once(TOP).unwrap_or((MORE, ""));
    file.write_all(if top { only_top } else { every }.as_bytes())?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_has_no_page_and_no_completion() {
        let dir = tempfile::tempdir().unwrap();
        let command = || {
            let hidden = Command::new("unseen").hide(true);
            Command::new("soakd").about("Soaks").subcommand(Command::new("run").about("Runs")).subcommand(hidden)
        };
        for what in [What::Man, What::Completions] {
            run(ManualArgs { what, dir: dir.path().to_owned() }, command()).unwrap();
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("unseen"), "{}", path.display());
            assert!(text.contains("run"), "{}", path.display());
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        names.sort();
        assert_eq!(names, ["_soakd", "soakd-run.1", "soakd.1", "soakd.bash", "soakd.fish"]);
        let page = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        for section in ["FILES", "ENVIRONMENT", "\"EXIT STATUS\"", "\"SEE ALSO\""] {
            assert!(page("soakd.1").contains(&format!("\n.SH {section}\n")), "{section}");
        }
        assert!(page("soakd-run.1").contains(".SH \"SEE ALSO\"") && !page("soakd-run.1").contains(".SH FILES"));
    }
}
