//! Requests on connections of their own: control calls, and those around the proxy.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::Run;
use crate::net::Dial;
use crate::recording::{Ctl, DirectHttp, Payload, Request, pad};
use crate::replay::conn::call;
use crate::replay::observed::Call;

impl Run<'_> {
    pub(super) async fn control(&mut self, line: usize, ctl: &Ctl) {
        let request = self.post(format!("/ctl/{}", ctl.action), ctl.request.to_string().into());
        self.call(&self.server.ctl.clone(), line, request, None).await;
    }

    pub(super) async fn direct(&mut self, line: usize, direct: &DirectHttp) {
        let request = self.direct_request(&direct.request);
        let status = direct.response["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        self.call(&self.server.dial.clone(), line, request, status).await;
    }

    async fn call(&mut self, dial: &Arc<dyn Dial>, line: usize, request: Request, recorded: Option<u16>) {
        let title = format!("{} {}", request.method, request.path);
        let mut answer = std::pin::pin!(call(&**dial, request));
        let answer = loop {
            tokio::select! {
                answer = &mut answer => break answer,
                Some(arrival) = self.arrivals.recv() => self.arrive(arrival).await,
            }
        };
        let actual = answer
            .map(|response| (response.status, response.content().text().unwrap_or_default().to_owned()))
            .map_err(|error| error.to_string());
        self.observed.calls.push(Call { line, title, recorded, actual });
    }

    fn post(&self, path: String, body: Bytes) -> Request {
        let headers = [
            ("host", self.server.authority.clone()),
            ("content-type", "application/json".to_owned()),
            ("content-length", body.len().to_string()),
            ("connection", "close".to_owned()),
        ];
        Request {
            method: "POST".to_owned(),
            path,
            query: String::new(),
            version: "HTTP/1.1".to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body: Payload::Whole(body),
        }
    }

    fn direct_request(&self, recorded: &Value) -> Request {
        let target = self.observed.variables.text(recorded["path"].as_str().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let body = recorded["body"].as_str().unwrap_or_default();
        let body = self.padded(body).unwrap_or_else(|| Bytes::from(body.to_owned()));
        let mut request = self.post(path.to_owned(), body);
        query.clone_into(&mut request.query);
        if let Some(method) = recorded["method"].as_str() {
            method.clone_into(&mut request.method);
        }
        request.headers.retain(|(name, _)| recorded["headers"].get(name).is_none());
        for (name, value) in recorded["headers"].as_object().into_iter().flatten() {
            request.headers.push((name.clone(), value.as_str().unwrap_or_default().to_owned()));
        }
        request
    }

    /// The body that `(8000000 bytes)` stands for.
    fn padded(&self, description: &str) -> Option<Bytes> {
        let length = description.strip_prefix('(')?.strip_suffix(" bytes)")?.parse().ok()?;
        match self.padding.as_ref()? {
            Payload::Abbreviated(short) => pad(&short.head, b"\"}]", length),
            Payload::Whole(_) => None,
        }
    }
}
