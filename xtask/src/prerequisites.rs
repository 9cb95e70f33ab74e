//! Programs some tests need and a machine may lack.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::command;

/// The oldest Node whose test runner the live suites use.
const NODE_VERSION: u32 = 18;

/// A program that was looked for.
pub(crate) struct Prerequisite {
    pub(crate) name: &'static str,
    pub(crate) needed_for: &'static str,
    pub(crate) path: Option<PathBuf>,
}

/// All programs that tests need, found or not.
pub(crate) struct Prerequisites(Vec<Prerequisite>);

impl Prerequisites {
    pub(crate) fn look_up() -> Self {
        let prerequisite = |name, needed_for, path| Prerequisite { name, needed_for, path };
        Self(vec![
            prerequisite(
                "node",
                "the live suites (version 18 or later)",
                find("node").filter(|node| is_recent(node)),
            ),
            prerequisite("npm", "the live suites and the chat page", find("npm")),
            prerequisite("chromium", "the suites in a browser", chromium()),
            prerequisite(
                "redis-server",
                "the tests of phoenix-pubsub-redis and of several nodes, and the demo of these",
                find("redis-server"),
            ),
            prerequisite(
                "nats-server",
                "the tests of phoenix-pubsub-nats and of several nodes",
                find("nats-server"),
            ),
        ])
    }

    pub(crate) fn path(&self, name: &str) -> Option<&Path> {
        self.0.iter().find(|entry| entry.name == name)?.path.as_deref()
    }

    pub(crate) fn missing(&self) -> impl Iterator<Item = &Prerequisite> {
        self.0.iter().filter(|entry| entry.path.is_none())
    }
}

/// A program on the search path.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    // Debian keeps servers in a folder that not everybody searches.
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

fn chromium() -> Option<PathBuf> {
    if let Some(chosen) = env::var_os("CHROMIUM") {
        return Some(PathBuf::from(chosen)).filter(|path| path.is_file());
    }
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(find)
}

fn is_recent(node: &Path) -> bool {
    let version = command::output(Command::new(node).arg("--version"), Duration::from_secs(10));
    version.is_ok_and(|text| major(&text).is_some_and(|major| major >= NODE_VERSION))
}

/// The first number of `v20.11.1`.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_node_is_read() {
        assert_eq!(major("v20.11.1\n"), Some(20));
        assert_eq!(major("v8.0.0"), Some(8));
        assert_eq!(major("node: not found"), None);
    }
}
