//! The differences from Phoenix that are wanted: a reviewed list, read by people and by the replay.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex_lite::Regex;
use serde::Deserialize;

use crate::difference::{Difference, Kind};

/// A list of allowed differences.
///
/// The list is a Markdown file. Every deviation is a row of a table whose first column is its id (`D` and a number), and has at least one
/// matcher with that id in a fenced `toml` block, anywhere in the file:
///
/// ~~~markdown
/// | id | Phoenix | here | why | quirk | recordings |
/// |---|---|---|---|---|---|
/// | D1 | answers a dead session after 2 s | answers at once | the client waits for nothing | Q14 | `lp_gone.*` |
///
/// ```toml
/// [[allow]]
/// id = "D1"
/// recordings = ["lp_gone.*"]
/// kind = "early"
/// recorded = '^after 5\d\d ms$'
/// ```
/// ~~~
///
/// `recordings` are glob patterns of names, `kind` is a [`Kind`] as it is printed, `recorded` and `actual` are regular
/// expressions that must be found in the two sides of the difference. What is left out matches everything. A matcher with
/// `servers` counts for the servers of these names only; see [`Replay::server`](crate::Replay::server).
#[derive(Clone, Debug, Default)]
pub struct Deviations {
    matchers: Vec<Matcher>,
}

/// A list that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviationsError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A `toml` block is invalid.
    #[error("invalid toml block")]
    Toml(#[from] toml::de::Error),
    /// A pattern of recordings is invalid.
    #[error("{id}: invalid pattern of recordings")]
    Glob {
        /// The deviation.
        id: String,
        /// Why.
        source: glob::PatternError,
    },
    /// A regular expression is invalid.
    #[error("{id}: invalid regular expression")]
    Regex {
        /// The deviation.
        id: String,
        /// Why.
        source: regex_lite::Error,
    },
    /// A row of the table has no matcher.
    #[error("{0}: a row without a matcher")]
    RowAlone(String),
    /// A matcher has no row in the table.
    #[error("{0}: a matcher without a row")]
    MatcherAlone(String),
}

#[derive(Clone, Debug)]
struct Matcher {
    id: String,
    recordings: Vec<glob::Pattern>,
    servers: Option<Vec<String>>,
    kind: Option<Kind>,
    recorded: Option<Regex>,
    actual: Option<Regex>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    allow: Vec<Allow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allow {
    id: String,
    recordings: Vec<String>,
    servers: Option<Vec<String>>,
    kind: Option<Kind>,
    recorded: Option<String>,
    actual: Option<String>,
}

impl Deviations {
    /// Reads the list from a Markdown file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DeviationsError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| DeviationsError::Io { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// Reads the list from Markdown text.
    pub fn parse(markdown: &str) -> Result<Self, DeviationsError> {
        let (mut rows, mut matchers) = (BTreeSet::new(), Vec::new());
        let mut block: Option<String> = None;
        for line in markdown.lines() {
            match &mut block {
                Some(text) if line.trim() == "```" => {
                    let Block { allow } = toml::from_str(text)?;
                    for allow in allow {
                        matchers.push(Matcher::new(allow)?);
                    }
                    block = None;
                }
                Some(text) => {
                    text.push_str(line);
                    text.push('\n');
                }
                None if line.trim() == "```toml" => block = Some(String::new()),
                None => rows.extend(row_id(line)),
            }
        }
        let listed: BTreeSet<&str> = matchers.iter().map(|matcher| matcher.id.as_str()).collect();
        if let Some(row) = rows.iter().find(|row| !listed.contains(row.as_str())) {
            return Err(DeviationsError::RowAlone(row.clone()));
        }
        if let Some(matcher) = matchers.iter().find(|matcher| !rows.contains(&matcher.id)) {
            return Err(DeviationsError::MatcherAlone(matcher.id.clone()));
        }
        Ok(Self { matchers })
    }

    /// What of the list counts for the server of that name. Without a name, that is what counts for all servers.
    pub(crate) fn on(&self, server: Option<&str>) -> Self {
        let counts = |matcher: &&Matcher| {
            let among = |servers: &Vec<String>| servers.iter().any(|name| Some(name.as_str()) == server);
            matcher.servers.as_ref().is_none_or(among)
        };
        Self { matchers: self.matchers.iter().filter(counts).cloned().collect() }
    }

    /// Id of the deviation that allows a difference.
    pub fn allowing(&self, difference: &Difference) -> Option<&str> {
        self.matchers.iter().find(|matcher| matcher.matches(difference)).map(|matcher| matcher.id.as_str())
    }

    /// Whether an event is known to be missing, so that nobody has to wait for it.
    ///
    /// If its deviation also allows something else in its place, that counts for what is waited for.
    pub(crate) fn excuses(&self, missing: &Difference) -> bool {
        let mut own = self
            .matchers
            .iter()
            .filter(|matcher| matcher.recordings.iter().any(|pattern| pattern.matches(&missing.recording)));
        let Some(id) = self.allowing(missing) else { return false };
        own.all(|matcher| matcher.id != id || matcher.kind == Some(Kind::Missing))
    }

    /// Ids of deviations that allowed nothing, although all their recordings were replayed.
    ///
    /// `replayed` are the names of the recordings; without `complete`, others exist that were not. A deviation all of
    /// whose patterns are plain names is judged by these alone.
    pub(crate) fn stale(
        &self,
        used: &BTreeSet<String>,
        replayed: &BTreeSet<&str>,
        complete: bool,
    ) -> Vec<String> {
        let ids: BTreeSet<&str> = self.matchers.iter().map(|matcher| matcher.id.as_str()).collect();
        let was_replayed = |pattern: &glob::Pattern| {
            let any = replayed.iter().any(|name| pattern.matches(name));
            any && (complete || !pattern.as_str().contains(['*', '?', '[']))
        };
        ids.into_iter()
            .filter(|id| !used.contains(*id))
            .filter(|id| {
                let mut own = self.matchers.iter().filter(|matcher| matcher.id == *id);
                own.all(|matcher| matcher.recordings.iter().all(was_replayed))
            })
            .map(str::to_owned)
            .collect()
    }
}

impl Matcher {
    fn new(allow: Allow) -> Result<Self, DeviationsError> {
        let id = allow.id;
        let glob = |source| DeviationsError::Glob { id: id.clone(), source };
        let regex = |pattern: Option<String>| {
            pattern
                .map(|pattern| Regex::new(&pattern))
                .transpose()
                .map_err(|source| DeviationsError::Regex { id: id.clone(), source })
        };
        Ok(Self {
            recordings: allow
                .recordings
                .iter()
                .map(|pattern| glob::Pattern::new(pattern))
                .collect::<Result<_, _>>()
                .map_err(glob)?,
            servers: allow.servers,
            kind: allow.kind,
            recorded: regex(allow.recorded)?,
            actual: regex(allow.actual)?,
            id,
        })
    }

    fn matches(&self, difference: &Difference) -> bool {
        let found =
            |regex: &Option<Regex>, text: &str| regex.as_ref().is_none_or(|regex| regex.is_match(text));
        self.recordings.iter().any(|pattern| pattern.matches(&difference.recording))
            && self.kind.is_none_or(|kind| kind == difference.kind)
            && found(&self.recorded, &difference.recorded)
            && found(&self.actual, &difference.actual)
    }
}

/// The id in the first column of a row: `D` and digits.
fn row_id(line: &str) -> Option<String> {
    let id = line.trim().strip_prefix('|')?.split('|').next()?.trim();
    let digits = id.strip_prefix('D')?;
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "| D1 | x |\n";
    const BLOCK: &str = "```toml\n[[allow]]\nid = \"D1\"\nrecordings = [\"ws_*\"]\n```\n";

    #[test]
    fn rows_and_matchers_belong_together() {
        assert!(Deviations::parse(&format!("{ROW}{BLOCK}")).is_ok());
        assert!(matches!(Deviations::parse(ROW), Err(DeviationsError::RowAlone(id)) if id == "D1"));
        assert!(matches!(Deviations::parse(BLOCK), Err(DeviationsError::MatcherAlone(id)) if id == "D1"));
    }

    #[test]
    fn mistakes_in_a_matcher_are_errors() {
        let with = |line: &str| {
            Deviations::parse(&format!("{ROW}{}", BLOCK.replace("id =", &format!("{line}\nid ="))))
        };
        assert!(matches!(with("kind = \"unheard-of\""), Err(DeviationsError::Toml(_))));
        assert!(matches!(with("typo = 1"), Err(DeviationsError::Toml(_))));
        assert!(matches!(with("actual = '('"), Err(DeviationsError::Regex { .. })));
    }

    #[test]
    fn a_deviation_is_stale_only_if_all_its_recordings_were_replayed() {
        let list = Deviations::parse(&format!("{ROW}{BLOCK}")).unwrap();
        let stale = |replayed: &[&str], complete| {
            list.stale(&BTreeSet::new(), &replayed.iter().copied().collect(), complete)
        };
        assert_eq!(stale(&["ws_leave.v2"], true), ["D1"]);
        assert_eq!(stale(&["ws_leave.v2"], false), [""; 0]);
        assert_eq!(stale(&["lp_gone.v2"], true), [""; 0]);
    }

    #[test]
    fn what_is_known_to_be_missing_is_excused_unless_something_comes_instead() {
        let rule = |kind: &str| format!("[[allow]]\nid = \"D1\"\nrecordings = [\"*\"]\nkind = \"{kind}\"\n");
        let list = |rules: &str| Deviations::parse(&format!("{ROW}```toml\n{rules}```\n")).unwrap();
        let missing = Difference {
            recording: "any".to_owned(),
            client: None,
            conn: None,
            line: None,
            kind: Kind::Missing,
            recorded: "text".to_owned(),
            actual: String::new(),
            allowed_by: None,
        };
        assert!(list(&rule("missing")).excuses(&missing));
        assert!(!list(&(rule("missing") + &rule("extra"))).excuses(&missing));
        assert!(!list(&rule("changed")).excuses(&missing));
    }

    #[test]
    fn a_matcher_for_some_servers_counts_for_no_other() {
        let list =
            "| D1 | a | b |\n```toml\n[[allow]]\nid = \"D1\"\nrecordings = [\"*\"]\nservers = [\"x\"]\n```\n";
        let deviations = Deviations::parse(list).unwrap();
        let difference = Difference {
            recording: "any".to_owned(),
            client: None,
            conn: None,
            line: None,
            kind: Kind::Extra,
            recorded: String::new(),
            actual: "more".to_owned(),
            allowed_by: None,
        };
        assert_eq!(deviations.on(Some("x")).allowing(&difference), Some("D1"));
        for other in [None, Some("y")] {
            assert_eq!(deviations.on(other).allowing(&difference), None);
            assert!(deviations.on(other).stale(&BTreeSet::new(), &["any"].into(), true).is_empty());
        }
    }
}
