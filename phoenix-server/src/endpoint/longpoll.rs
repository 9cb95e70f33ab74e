use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use phoenix_proto::longpoll::TextOnly;

use super::admission::{AcceptError, Admission, Shared};
use super::{Endpoint, EndpointError, LongPollOptions, TransportOptions};
use crate::QueueLimits;
use crate::driver::Accepted;
use crate::http_facts::{HttpRequest, Params, PathParams};

/// A request of a long-poll client, not decided yet: `phoenix_adapter_longpoll::answer` does that, with the body.
#[must_use = "the request has to be answered"]
pub struct LongPoll {
    pub(super) endpoint: Endpoint,
    pub(super) mount: Arc<LongPollMount>,
    pub(super) path: PathParams,
    pub(super) request: HttpRequest,
}

impl LongPoll {
    /// The endpoint that the request is for.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The request.
    pub fn request(&self) -> &HttpRequest {
        &self.request
    }

    /// The options of the mount.
    pub fn options(&self) -> &LongPollOptions {
        &self.mount.options
    }

    /// How much may wait for one client.
    pub fn queue(&self) -> &QueueLimits {
        self.mount.admission.queue()
    }

    /// The parameters of the request, if its origin may connect.
    ///
    /// # Errors
    /// [`AcceptError::Params`] and [`AcceptError::Origin`].
    pub fn params(&self) -> Result<Params, AcceptError> {
        self.mount.admission.params(&self.path, &self.request)
    }

    /// One of the [parameters](Self::params) if it is a text, without the work for the others.
    ///
    /// # Errors
    /// [`AcceptError::Params`] and [`AcceptError::Origin`], as for all of them.
    pub fn param(&self, name: &str) -> Result<Option<Cow<'_, str>>, AcceptError> {
        self.mount.admission.param(&self.path, &self.request, name)
    }

    /// Asks the socket whether it accepts a new session.
    ///
    /// # Errors
    /// [`AcceptError`] says why there is none.
    pub async fn accept(&self, params: Params) -> Result<Accepted, AcceptError> {
        self.mount.admission.connect(params, &self.request, None, self.endpoint.pubsub()).await
    }
}

impl fmt::Debug for LongPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = (self.request.method(), self.request.routed_path());
        f.debug_struct("LongPoll").field("request", &request).finish_non_exhaustive()
    }
}

/// The long-poll transport of a mount.
pub(super) struct LongPollMount {
    admission: Admission,
    options: LongPollOptions,
}

impl LongPollMount {
    pub(super) fn log_request(&self, request: &HttpRequest) {
        self.admission.log_request(request);
    }

    pub(super) fn new(options: &LongPollOptions, shared: &Shared<'_>) -> Result<Self, EndpointError> {
        let common = TransportOptions {
            path: options.path.clone(),
            serializers: options.serializers.map(|serializer| Arc::new(TextOnly::new(serializer))),
            check_origin: options.check_origin.clone(),
            connect_info: options.connect_info.clone(),
            // Sessions end by inactivity instead.
            timeout: None,
            log: options.log,
            transport_log: options.transport_log,
            ..TransportOptions::new("")
        };
        Ok(Self { admission: Admission::new("longpoll", common, shared)?, options: options.clone() })
    }
}
