//! The policy of `deny.toml` on licences, bans and sources, applied to all packages of the workspace.
//!
//! The file is cargo-deny's and `cargo deny check licenses bans sources` says the same; this check needs no
//! minutes to compile. Keys it does not know are errors, so that nothing is written there without effect.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::{
    command::{self, Failure, minutes},
    project,
};

pub(crate) fn check() -> Result<(), Failure> {
    let path = project::root().join("deny.toml");
    let text = fs::read_to_string(&path)
        .map_err(|cause| Failure::Read { path: path.display().to_string(), cause })?;
    let policy: Policy =
        toml::from_str(&text).map_err(|cause| Failure::Policy { path: "deny.toml".into(), cause })?;
    let json =
        command::output(&mut project::cargo(&["metadata", "--format-version", "1", "--locked"]), minutes(2))?;
    let metadata: Metadata = serde_json::from_str(&json)?;

    let violations = policy.violations(&metadata.packages);
    for violation in &violations {
        eprintln!("{violation}");
    }
    println!("{} packages", metadata.packages.len());
    if violations.is_empty() { Ok(()) } else { Err(Failure::Violations(violations.len())) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// Licences allowed to one package only.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    allow: Vec<String>,
    #[serde(rename = "crate")]
    package: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bans {
    multiple_versions: Level,
    wildcards: Level,
    #[serde(default)]
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    #[serde(rename = "crate")]
    package: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    #[serde(rename = "unknown-registry")]
    _unknown_registry: Forbidden,
    #[serde(rename = "unknown-git")]
    _unknown_git: Forbidden,
    allow_registry: Vec<String>,
    #[serde(default)]
    allow_git: Vec<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Level {
    Allow,
    Deny,
}

/// A key that has one value only: what is not allowed is refused.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Forbidden {
    Deny,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Clone, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Clone, Deserialize)]
struct Dependency {
    name: String,
    req: String,
    path: Option<String>,
}

impl Policy {
    fn violations(&self, packages: &[Package]) -> Vec<String> {
        let mut violations = Vec::new();
        for package in packages {
            let found = [self.license(package), self.ban(package), self.source(package)];
            violations.extend(found.into_iter().flatten());
            violations.extend(self.wildcards(package));
        }
        violations.extend(self.duplicates(packages));
        violations
    }

    fn license(&self, package: &Package) -> Option<String> {
        let label = format!("{} {}", package.name, package.version);
        let Some(text) = &package.license else { return Some(format!("{label}: names no licence")) };
        let Ok(expression) = Expression::parse_mode(text, ParseMode::LAX) else {
            return Some(format!("{label}: `{text}` is no licence expression"));
        };
        let exceptions =
            self.licenses.exceptions.iter().filter(|exception| exception.package == package.name);
        let allowed: Vec<_> = exceptions
            .flat_map(|exception| &exception.allow)
            .chain(&self.licenses.allow)
            .filter_map(|name| Licensee::parse(name).ok())
            .collect();
        let satisfied = expression.evaluate(|wanted| allowed.iter().any(|license| license.satisfies(wanted)));
        (!satisfied).then(|| format!("{label}: licence `{text}` is not allowed"))
    }

    fn ban(&self, package: &Package) -> Option<String> {
        let ban = self.bans.deny.iter().find(|ban| ban.package == package.name)?;
        Some(format!("{} {}: banned: {}", package.name, package.version, ban.reason))
    }

    fn source(&self, package: &Package) -> Option<String> {
        let source = package.source.as_deref()?;
        let allowed = match source.split_once('+') {
            Some(("registry" | "sparse", url)) => {
                self.sources.allow_registry.iter().any(|known| known == url)
            }
            Some(("git", url)) => self.sources.allow_git.iter().any(|known| url.starts_with(known.as_str())),
            _ => false,
        };
        (!allowed).then(|| format!("{} {}: comes from {source}", package.name, package.version))
    }

    fn wildcards(&self, package: &Package) -> Vec<String> {
        if self.bans.wildcards == Level::Allow || package.source.is_some() {
            return Vec::new();
        }
        let open = |dependency: &&Dependency| dependency.req == "*" && dependency.path.is_none();
        let text =
            |dependency: &Dependency| format!("{}: any version of {} will do", package.name, dependency.name);
        package.dependencies.iter().filter(open).map(text).collect()
    }

    fn duplicates(&self, packages: &[Package]) -> Vec<String> {
        if self.bans.multiple_versions == Level::Allow {
            return Vec::new();
        }
        let mut versions = BTreeMap::<&str, Vec<&str>>::new();
        for package in packages {
            versions.entry(&package.name).or_default().push(&package.version);
        }
        versions.retain(|_, all| all.len() > 1);
        versions
            .into_iter()
            .map(|(name, all)| format!("{name}: in several versions: {}", all.join(", ")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowed_package_passes() {
        assert_eq!(policy().violations(&[package()]), Vec::<String>::new());
    }

    #[test]
    fn licences_are_judged_as_expressions() {
        let judge =
            |license: &str| policy().violations(&[Package { license: Some(license.into()), ..package() }]);
        for fine in ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "Apache-2.0 WITH LLVM-exception"] {
            assert_eq!(judge(fine), Vec::<String>::new(), "{fine}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "MIT WITH LLVM-exception", "no such licence"] {
            assert_eq!(judge(bad).len(), 1, "{bad}");
        }
        assert_eq!(policy().violations(&[Package { license: None, ..package() }]).len(), 1);
    }

    #[test]
    fn an_exception_holds_for_its_package() {
        let special = Package { name: "special".into(), license: Some("ISC".into()), ..package() };
        let other = Package { name: "other".into(), ..special.clone() };
        assert_eq!(policy().violations(&[special]).len(), 0);
        assert_eq!(policy().violations(&[other]).len(), 1);
    }

    #[test]
    fn a_banned_package_is_refused() {
        let found = policy().violations(&[Package { name: "openssl".into(), ..package() }]);
        assert_eq!(found, ["openssl 1.0.0: banned: rustls does"]);
    }

    #[test]
    fn other_sources_are_refused() {
        let from =
            |source: &str| policy().violations(&[Package { source: Some(source.into()), ..package() }]);
        assert_eq!(from("git+https://example.com/x#1").len(), 1);
        assert_eq!(from("registry+https://example.com/index").len(), 1);
        assert_eq!(policy().violations(&[Package { source: None, ..package() }]).len(), 0);
    }

    #[test]
    fn members_name_the_versions_they_want() {
        let dependency = Dependency { name: "bytes".into(), req: "*".into(), path: None };
        let own = Dependency { path: Some("/own".into()), ..dependency.clone() };
        let member = |dependency| Package { source: None, dependencies: vec![dependency], ..package() };
        assert_eq!(policy().violations(&[member(dependency)]).len(), 1);
        assert_eq!(policy().violations(&[member(own)]).len(), 0);
    }

    #[test]
    fn several_versions_are_refused_if_the_policy_says_so() {
        let mut policy = policy();
        let two = [package(), Package { version: "2.0.0".into(), ..package() }];
        assert_eq!(policy.violations(&two).len(), 0);
        policy.bans.multiple_versions = Level::Deny;
        assert_eq!(policy.violations(&two), ["good: in several versions: 1.0.0, 2.0.0"]);
    }

    #[test]
    fn unknown_keys_are_errors() {
        let text = POLICY.replace("[bans]", "[bans]\nhighlight = \"all\"");
        assert!(toml::from_str::<Policy>(&text).is_err());
    }

    const INDEX: &str = "https://github.com/rust-lang/crates.io-index";

    const POLICY: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]
        exceptions = [{ allow = ["ISC"], crate = "special" }]
        [bans]
        multiple-versions = "allow"
        wildcards = "deny"
        deny = [{ crate = "openssl", reason = "rustls does" }]
        [sources]
        unknown-registry = "deny"
        unknown-git = "deny"
        allow-registry = ["https://github.com/rust-lang/crates.io-index"]
    "#;

    fn policy() -> Policy {
        toml::from_str(POLICY).expect("the policy of these tests is valid")
    }

    fn package() -> Package {
        Package {
            name: "good".into(),
            version: "1.0.0".into(),
            license: Some("MIT OR Apache-2.0".into()),
            source: Some(format!("registry+{INDEX}")),
            dependencies: Vec::new(),
        }
    }
}
