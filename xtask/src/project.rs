//! Where things are, and how cargo is called.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use crate::command::{self, Failure, minutes};

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// A cargo command of the workspace, by the cargo that runs this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    command
}

/// A program that `cargo build` made.
pub(crate) fn program(name: &str) -> Result<PathBuf, Failure> {
    Ok(target()?.join("debug").join(name))
}

/// A program that `cargo build --release` made.
pub(crate) fn release_program(name: &str) -> Result<PathBuf, Failure> {
    Ok(target()?.join("release").join(name))
}

/// The folder of everything that cargo makes.
pub(crate) fn target() -> Result<PathBuf, Failure> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }

    let text = command::output(
        &mut cargo(&["metadata", "--format-version", "1", "--no-deps", "--locked"]),
        minutes(1),
    )?;
    let metadata: Metadata = serde_json::from_str(&text)?;
    Ok(metadata.target_directory)
}

/// Whether this is a run of continuous integration, where nothing may be missing.
pub(crate) fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}
