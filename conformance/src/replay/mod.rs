//! Replays recordings against a server.

mod conn;
mod observed;
mod polls;
mod run;
mod schedule;
mod topics;
mod variables;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub(crate) use self::observed::{Lane, Observed};
pub(crate) use self::polls::messages;

pub(crate) use self::variables::{hands_out, request_token};
use crate::compare::FrameOrder;
use crate::deviations::Deviations;
use crate::net::{Dial, TcpDial};
use crate::recording::{Bundled, ReadError, Recording, bundled};
use crate::report::{Outcome, Report};

/// Recordings replayed at the same time unless said otherwise: most of them wait for timers.
const PARALLEL: usize = 8;

/// How long a late event is waited for unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// Does something to the server from outside.
pub(crate) type Hook = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// How far a replay is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// Number of recordings that are done.
    pub done: usize,
    /// Number of all recordings.
    pub total: usize,
    /// What came of the latest one, deviations not applied; `None` at the start.
    pub latest: Option<&'a Outcome>,
}

/// Something to be told how far a replay is.
type Watcher = Box<dyn Fn(Progress<'_>) + Send + Sync>;

/// Where recordings come from.
enum Source {
    Bundled,
    Files(Vec<PathBuf>),
    Recordings(Vec<Recording>),
}

/// A replay of recordings against a server.
///
/// ```no_run
/// # async fn example() -> Result<(), phoenix_conformance::ReplayError> {
/// use phoenix_conformance::Replay;
/// Replay::new("http://127.0.0.1:4000")?.files(["tests/recordings/chat.jsonl"]).run().await?.assert_ok();
/// # Ok(())
/// # }
/// ```
pub struct Replay {
    server: Server,
    source: Source,
    filter: Option<glob::Pattern>,
    deviations: Deviations,
    name: Option<String>,
    stop: Option<Hook>,
    restart: Option<Hook>,
    watcher: Option<Watcher>,
    parallel: usize,
    again: u32,
    patience: Duration,
    order: FrameOrder,
}

/// The server under test.
#[derive(Clone)]
pub(crate) struct Server {
    dial: Arc<dyn Dial>,
    ctl: Arc<dyn Dial>,
    authority: String,
}

/// A replay that cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A server URL is not `http://host:port` or `ws://host:port`.
    #[error("not the URL of a server: {0} (expected http://host:port)")]
    Url(String),
    /// The filter is no glob pattern.
    #[error("invalid filter")]
    Filter(#[from] glob::PatternError),
    /// A recording cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Replay {
    /// A replay against the server at `http://host:port` (`ws://` is the same; there is no TLS).
    ///
    /// Unless said otherwise it replays the recordings of this crate, eight at a time, allows no deviation, waits 5 s
    /// for a late event, and skips recordings in which the server is stopped.
    pub fn new(url: &str) -> Result<Self, ReplayError> {
        let authority = authority(url)?;
        Ok(Self::with_dial(Arc::new(TcpDial::new(authority.clone())), authority))
    }

    /// A replay against whatever `dial` connects to; `authority` is what the server takes for its own `host:port`.
    pub fn with_dial(dial: Arc<dyn Dial>, authority: impl Into<String>) -> Self {
        Self {
            server: Server { ctl: dial.clone(), dial, authority: authority.into() },
            source: Source::Bundled,
            filter: None,
            deviations: Deviations::default(),
            name: None,
            stop: None,
            restart: None,
            watcher: None,
            parallel: PARALLEL,
            again: 0,
            patience: PATIENCE,
            order: FrameOrder::default(),
        }
    }

    /// Makes control calls (`/ctl/…`) at another URL than the server's.
    pub fn ctl(mut self, url: &str) -> Result<Self, ReplayError> {
        self.server.ctl = Arc::new(TcpDial::new(authority(url)?));
        Ok(self)
    }

    /// Makes control calls through other connections than the server's.
    pub fn ctl_dial(mut self, dial: Arc<dyn Dial>) -> Self {
        self.server.ctl = dial;
        self
    }

    /// Replays these files instead of the recordings of this crate.
    pub fn files(mut self, files: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        self.source = Source::Files(files.into_iter().map(|path| path.as_ref().to_owned()).collect());
        self
    }

    /// Replays these recordings instead of those of this crate.
    pub fn recordings(mut self, recordings: impl IntoIterator<Item = Recording>) -> Self {
        self.source = Source::Recordings(recordings.into_iter().collect());
        self
    }

    /// Replays only recordings whose name matches this glob pattern, for example `ws_*.v2`.
    pub fn filter(mut self, pattern: &str) -> Result<Self, ReplayError> {
        self.filter = Some(glob::Pattern::new(pattern)?);
        Ok(self)
    }

    /// Allows the listed deviations, and fails for those that no longer occur.
    pub fn deviations(mut self, deviations: Deviations) -> Self {
        self.deviations = deviations;
        self
    }

    /// Names the server, for deviations that only some servers have.
    pub fn server(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many recordings are replayed at the same time. Those that share a topic never are.
    pub fn parallel(mut self, recordings: usize) -> Self {
        self.parallel = recordings.max(1);
        self
    }

    /// How often a recording that failed is replayed again, with no other beside it; unless said otherwise, never.
    ///
    /// Recordings have timers, and a replay that the machine holds up misses them. What a server does wrong fails each
    /// time; the [`Outcome`] is that of the last time and [tells](Outcome::attempts) how many there were.
    pub fn again(mut self, times: u32) -> Self {
        self.again = times;
        self
    }

    /// How long an event is waited for when it is late. After the first failure of a recording it is half a second.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Compares the order of all frames of a connection, not only that of the frames of each topic.
    ///
    /// No order is promised between topics; but where nothing runs side by side, a Phoenix has one.
    pub fn exact_order(mut self) -> Self {
        self.order = FrameOrder::Exact;
        self
    }

    /// Replays the recordings in which the server is told to stop, last and one after the other.
    ///
    /// `stop` makes the server stop as SIGTERM would and returns once that has been asked for.
    pub fn on_stop<F>(mut self, stop: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.stop = Some(Arc::new(move || Box::pin(stop())));
        self
    }

    /// Calls `restart` after every recording in which the server was stopped: it starts a fresh one at the same address.
    pub fn on_restart<F>(mut self, restart: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.restart = Some(Arc::new(move || Box::pin(restart())));
        self
    }

    /// Calls `watch` at the start and whenever a recording is done.
    pub fn on_progress(mut self, watch: impl Fn(Progress<'_>) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Box::new(watch));
        self
    }

    /// Replays. Differences are in the report; an error means that nothing was replayed.
    pub async fn run(mut self) -> Result<Report, ReplayError> {
        let (recordings, complete) = self.selected()?;
        let outcomes = self.run_all(recordings).await;
        Ok(Report::new(outcomes, &self.deviations.on(self.name.as_deref()), complete))
    }

    /// The recordings to replay, and whether none was left out by the filter.
    fn selected(&mut self) -> Result<(Vec<Recording>, bool), ReplayError> {
        let chosen = |name: &str| self.filter.as_ref().is_none_or(|filter| filter.matches(name));
        let files = match std::mem::replace(&mut self.source, Source::Bundled) {
            Source::Recordings(mut recordings) => {
                let total = recordings.len();
                recordings.retain(|recording| chosen(&recording.name));
                let complete = recordings.len() == total;
                return Ok((recordings, complete));
            }
            Source::Files(files) => files,
            Source::Bundled => {
                let all = bundled();
                let recordings = all.iter().filter(|recording| chosen(recording.name)).map(Bundled::parse);
                let recordings = recordings.collect::<Result<Vec<_>, _>>()?;
                let complete = recordings.len() == all.len();
                return Ok((recordings, complete));
            }
        };
        let is_chosen =
            |path: &&PathBuf| path.file_stem().is_some_and(|stem| chosen(&stem.to_string_lossy()));
        let recordings =
            files.iter().filter(is_chosen).map(Recording::open).collect::<Result<Vec<_>, _>>()?;
        let complete = recordings.len() == files.len();
        Ok((recordings, complete))
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("server", &self.server.authority).finish_non_exhaustive()
    }
}

/// The `host:port` of a URL.
fn authority(url: &str) -> Result<String, ReplayError> {
    let error = || ReplayError::Url(url.to_owned());
    let (scheme, rest) = url.split_once("://").ok_or_else(error)?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if !matches!(scheme, "http" | "ws") || authority.is_empty() || authority.contains('/') {
        return Err(error());
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(if has_port { authority.to_owned() } else { format!("{authority}:80") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_servers_are_accepted() {
        assert_eq!(authority("http://127.0.0.1:4000/").unwrap(), "127.0.0.1:4000");
        assert_eq!(authority("ws://localhost").unwrap(), "localhost:80");
        for bad in ["localhost:4000", "https://localhost", "http://", "http://localhost/socket"] {
            assert!(matches!(authority(bad), Err(ReplayError::Url(_))), "{bad}");
        }
    }
}
