use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Names one node of a cluster (FEATURES K17).
///
/// Names have to differ between the nodes of a cluster. One that stays the same across restarts lets the others
/// know a restarted node again, and tidy up after the one before.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// A name of the application's choice, such as the name of the host.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// A name that no other node has.
    pub fn random() -> Self {
        Self(format!("node-{:016x}", random()).into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn shared(&self) -> &Arc<str> {
        &self.0
    }
}

/// A random number from the operating system, by way of the seeds of hash maps.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

impl From<&str> for NodeName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_names_differ() {
        assert_ne!(NodeName::random(), NodeName::random());
    }
}
