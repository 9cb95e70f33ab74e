use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use semver::Version;
use thiserror::Error;

use super::{Serializer, V1, V2};

/// Which protocol versions a serializer serves: `~> MAJOR.MINOR.PATCH` (protocol §5).
///
/// It is met by everything from that version up to, but without, the next minor version, so also by
/// pre-releases inside of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    from: Version,
    below: Version,
}

/// A requirement that is not of the form `~> MAJOR.MINOR.PATCH`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a version requirement must have the form \"~> MAJOR.MINOR.PATCH\"")]
pub struct RequirementError;

/// A `vsn` that no serializer serves.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VersionError {
    /// It is no semantic version.
    #[error("invalid transport version {0:?}")]
    Invalid(String),
    /// It is one, but no requirement is met.
    #[error("requested transport version {0:?} does not match the server's version requirements")]
    Unsupported(String),
}

/// The serializers of a transport in order of preference.
#[derive(Clone)]
pub struct Serializers(Arc<[(Requirement, Arc<dyn Serializer>)]>);

impl Serializers {
    /// The serializers in the order in which they are asked.
    pub fn new(list: impl IntoIterator<Item = (Requirement, Arc<dyn Serializer>)>) -> Self {
        Self(list.into_iter().collect())
    }

    /// The same versions with each serializer replaced by another one, one that wraps it for example.
    pub fn map<S: Serializer>(&self, mut wrap: impl FnMut(Arc<dyn Serializer>) -> Arc<S>) -> Self {
        let wrapped = |(requirement, serializer): &(Requirement, Arc<dyn Serializer>)| {
            (requirement.clone(), wrap(Arc::clone(serializer)) as Arc<dyn Serializer>)
        };
        Self(self.0.iter().map(wrapped).collect())
    }

    /// The first serializer whose requirement `vsn` meets; an absent `vsn` means `1.0.0`.
    ///
    /// # Errors
    /// [`VersionError`]; the connection is then refused like by `connect` (HTTP 403).
    pub fn negotiate(&self, vsn: Option<&str>) -> Result<Arc<dyn Serializer>, VersionError> {
        let vsn = vsn.unwrap_or("1.0.0");
        let version = Version::parse(vsn).map_err(|_| VersionError::Invalid(vsn.to_owned()))?;
        let found = self.0.iter().find(|(requirement, _)| requirement.is_met_by(&version));
        match found {
            Some((_, serializer)) => Ok(Arc::clone(serializer)),
            None => Err(VersionError::Unsupported(vsn.to_owned())),
        }
    }
}

/// V1 for `~> 1.0.0`, V2 for `~> 2.0.0`; all defaults share the same two serializers, so that a
/// broadcast is encoded once for all mounts.
impl Default for Serializers {
    fn default() -> Self {
        static DEFAULT: LazyLock<Serializers> = LazyLock::new(|| {
            Serializers::new([
                (Requirement::compatible(1, 0, 0), Arc::new(V1) as Arc<dyn Serializer>),
                (Requirement::compatible(2, 0, 0), Arc::new(V2)),
            ])
        });
        DEFAULT.clone()
    }
}

impl fmt::Debug for Serializers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(_, serializer)| serializer.name())).finish()
    }
}

impl Requirement {
    /// `~> major.minor.patch`.
    pub fn compatible(major: u64, minor: u64, patch: u64) -> Self {
        let mut below = Version::new(major, minor + 1, 0);
        below.pre = semver::Prerelease::new("0").expect("a number is a valid pre-release");
        Self { from: Version::new(major, minor, patch), below }
    }

    /// Whether a version lies in the window.
    pub fn is_met_by(&self, version: &Version) -> bool {
        version.cmp_precedence(&self.from).is_ge() && version.cmp_precedence(&self.below).is_lt()
    }
}

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let version = text.strip_prefix("~>").ok_or(RequirementError)?.trim();
        let version = Version::parse(version).map_err(|_| RequirementError)?;
        Ok(Self { from: version.clone(), ..Self::compatible(version.major, version.minor, version.patch) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_versions() {
        let serializers = Serializers::default();
        let name = |vsn| serializers.negotiate(vsn).map(|serializer| serializer.name().to_owned());
        for vsn in [None, Some("1.0.0"), Some("1.0.9"), Some("1.0.5")] {
            assert_eq!(name(vsn).unwrap(), V1.name());
        }
        for vsn in ["2.0.0", "2.0.7", "2.0.0+build", "2.0.1-rc.1"] {
            assert_eq!(name(Some(vsn)).unwrap(), V2.name());
        }
        for vsn in ["1.1.0", "2.1.0", "3.0.0", "2.0.0-rc.1", "123.1.1"] {
            assert_eq!(name(Some(vsn)), Err(VersionError::Unsupported(vsn.to_owned())));
        }
        for vsn in ["2.0", "2", "", "abc", "02.0.0", "v2.0.0", " 2.0.0", "2.0.00"] {
            assert_eq!(name(Some(vsn)), Err(VersionError::Invalid(vsn.to_owned())));
        }
    }

    #[test]
    fn the_first_met_requirement_wins() {
        let both = Requirement::compatible(2, 0, 0);
        let list =
            Serializers::new([(both.clone(), Arc::new(V2) as Arc<dyn Serializer>), (both, Arc::new(V1))]);
        assert_eq!(list.negotiate(Some("2.0.0")).unwrap().name(), V2.name());
    }

    #[test]
    fn requirements_are_parsed() {
        assert_eq!("~> 2.0.0".parse(), Ok(Requirement::compatible(2, 0, 0)));
        assert_eq!(">= 2.0.0".parse::<Requirement>(), Err(RequirementError));
        assert_eq!("~> 2".parse::<Requirement>(), Err(RequirementError));
    }
}
