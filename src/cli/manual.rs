//! `soakd manual`: writes man pages and shell completions from the arguments themselves, for packages.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;

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
        What::Man => {
            clap_mangen::generate_to(command, dir).with_context(|| format!("writing man pages to {}", dir.display()))?
        }
        What::Completions => {
            for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
                clap_complete::generate_to(shell, &mut command, "soakd", dir)
                    .with_context(|| format!("writing completions to {}", dir.display()))?;
            }
        }
    }
    println!("written to {}", dir.display());
    Ok(super::EXIT_OK)
}
