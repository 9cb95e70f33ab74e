use std::sync::Arc;

use phoenix_proto::PatternError;
use thiserror::Error;

use super::admission::EndpointDefaults;
use super::extensions::Extensions;
use super::mount::Mount;
use super::{Endpoint, Inner, SocketOptions};
use crate::http_facts::{
    CheckOrigin, ConnectInfoError, InvalidSubprotocol, ParamFilter, PathPatternError, SecretKeyBase,
};
use crate::pubsub::PubSub;
use crate::socket::{self, Mounted};
use crate::telemetry::{Diagnostics, Telemetry};
use crate::{RawSocket, Socket, raw};

/// Collects what an [`Endpoint`] is made of.
pub struct EndpointBuilder {
    mounts: Vec<PlannedMount>,
    pubsub: PubSub,
    check_origin: CheckOrigin,
    url_host: String,
    diagnostics: Diagnostics,
    secrets: Vec<SecretKeyBase>,
}

/// A mount that is not validated yet.
struct PlannedMount {
    path: String,
    handler: Result<Mounted, PatternError>,
    options: SocketOptions,
}

/// An endpoint that cannot be started as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// A channel's topic pattern is malformed (FEATURES A48).
    #[error(transparent)]
    TopicPattern(#[from] PatternError),
    /// The path of a mount or transport is malformed.
    #[error(transparent)]
    Path(#[from] PathPatternError),
    /// Neither origin nor CSRF token would be checked (FEATURES D40), or a session has no store.
    #[error(transparent)]
    ConnectInfo(#[from] ConnectInfoError),
    /// A subprotocol is no valid token.
    #[error(transparent)]
    Subprotocol(#[from] InvalidSubprotocol),
}

impl Default for EndpointBuilder {
    fn default() -> Self {
        Self {
            mounts: Vec::new(),
            pubsub: PubSub::local(),
            check_origin: CheckOrigin::default(),
            url_host: "localhost".to_owned(),
            diagnostics: Diagnostics::default(),
            secrets: Vec::new(),
        }
    }
}

impl EndpointBuilder {
    /// Mounts a socket at a path, which may have `:name` variables (FEATURES D1, D29, D43).
    pub fn socket<S: Socket>(mut self, path: &str, options: SocketOptions) -> Self {
        let handler = socket::handler::<S>().map(Mounted::Channels);
        self.mounts.push(PlannedMount { path: path.to_owned(), handler, options });
        self
    }

    /// Mounts a socket without channels at a path, as [`socket`](Self::socket) does (FEATURES C21).
    ///
    /// Of its options, serializers and `max_channels` have no meaning.
    pub fn raw_socket<S: RawSocket>(mut self, path: &str, options: SocketOptions) -> Self {
        let handler = Ok(Mounted::Raw(raw::handler::<S>()));
        self.mounts.push(PlannedMount { path: path.to_owned(), handler, options });
        self
    }

    /// Sets the PubSub; by default the endpoint has one of its own that stays in the process (FEATURES E9).
    pub fn pubsub(mut self, pubsub: PubSub) -> Self {
        self.pubsub = pubsub;
        self
    }

    /// Sets which origins may connect where a mount does not say (FEATURES E10);
    /// [`CheckOrigin::Host`] by default.
    pub fn check_origin(mut self, policy: CheckOrigin) -> Self {
        self.check_origin = policy;
        self
    }

    /// Sets the host under which browsers know this server, for [`CheckOrigin::Host`] (FEATURES E11);
    /// `localhost` by default.
    pub fn url_host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.url_host);
        self
    }

    /// Sets who hears of connections, joins and messages, with durations (FEATURES O1–O5).
    pub fn telemetry(mut self, telemetry: impl Telemetry) -> Self {
        self.diagnostics.telemetry = Some(Box::new(telemetry));
        self
    }

    /// Sets which parameters and payloads are shown in logs, at TRACE, and by the events of
    /// [`Telemetry`] (FEATURES O6); all but passwords and tokens by default.
    pub fn filter_parameters(mut self, filter: ParamFilter) -> Self {
        self.diagnostics.filter = filter;
        self
    }

    /// Sets the secret from which the keys of the tokens of long-poll sessions are derived (FEATURES E12). Nodes that
    /// share sessions need the same one; without one it is random, so that no other node and no later run accepts the
    /// tokens. Called again, it adds an older secret, whose tokens are still accepted.
    pub fn secret_key_base(mut self, secret: SecretKeyBase) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Validates everything and makes the endpoint.
    ///
    /// # Errors
    /// [`EndpointError`] for the first thing that is wrong.
    pub fn build(self) -> Result<Endpoint, EndpointError> {
        let Self { mounts, pubsub, check_origin, url_host, diagnostics, mut secrets } = self;
        if secrets.is_empty() {
            secrets.push(SecretKeyBase::random());
        }
        let diagnostics = Arc::new(diagnostics);
        let defaults =
            EndpointDefaults { check_origin: &check_origin, url_host: &url_host, diagnostics: &diagnostics };
        let mounts = mounts
            .into_iter()
            .map(|mount| Mount::new(&mount.path, &mount.handler?, &mount.options, &defaults))
            .collect::<Result<Vec<_>, _>>()?;
        diagnostics.endpoint_init(mounts.iter().flat_map(Mount::paths).collect());
        Ok(Endpoint {
            inner: Arc::new(Inner {
                mounts,
                pubsub,
                diagnostics,
                secrets,
                extensions: Extensions::default(),
            }),
        })
    }
}

impl std::fmt::Debug for EndpointBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let paths: Vec<_> = self.mounts.iter().map(|mount| &mount.path).collect();
        f.debug_struct("EndpointBuilder").field("paths", &paths).finish_non_exhaustive()
    }
}
