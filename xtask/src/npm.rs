//! npm packages of a folder, exactly as its lock file says.

use std::{fs, path::Path, process::Command};

use crate::{
    command::{self, Failure, minutes},
    prerequisites::find,
};

/// Installs the packages of a folder unless they are there already.
pub(crate) fn install(folder: &Path) -> Result<(), Failure> {
    if find("npm").is_none() {
        return Err(Failure::Missing("npm"));
    }
    if is_fresh(folder) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.current_dir(folder).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
    command::run(&mut npm, minutes(5))
}

/// npm writes the second file at the end of an installation.
fn is_fresh(folder: &Path) -> bool {
    let changed = |name: &str| fs::metadata(folder.join(name)).and_then(|file| file.modified()).ok();
    match (changed("package-lock.json"), changed("node_modules/.package-lock.json")) {
        (Some(wanted), Some(installed)) => installed >= wanted,
        _ => false,
    }
}
