//! Requests on connections of their own: control calls, and those around the proxy.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::Run;
use crate::net::Dial;
use crate::recording::{Ctl, DirectHttp, Payload, Request, Response, pad};
use crate::replay::conn::call;
use crate::replay::observed::Call;

impl Run<'_> {
    pub(super) async fn control(&mut self, line: usize, ctl: &Ctl) {
        let request = self.post(format!("/ctl/{}", ctl.action), ctl.request.to_string().into());
        self.call(&self.server.ctl.clone(), line, request, None).await;
    }

    pub(super) async fn direct(&mut self, line: usize, direct: &DirectHttp) {
        let request = self.direct_request(&direct.request);
        let recorded = direct_response(&direct.response);
        self.call(&self.server.dial.clone(), line, request, recorded).await;
    }

    async fn call(
        &mut self,
        dial: &Arc<dyn Dial>,
        line: usize,
        request: Request,
        recorded: Option<Response>,
    ) {
        let title = format!("{} {}", request.method, request.path);
        let mut answer = std::pin::pin!(call(&**dial, request));
        let answer = loop {
            tokio::select! {
                answer = &mut answer => break answer,
                Some(arrival) = self.arrivals.recv() => self.arrive(arrival).await,
            }
        };
        if let (Some(recorded), Ok(actual)) = (&recorded, &answer) {
            self.observed.variables.learn(recorded, actual);
        }
        let recorded = recorded.map(|response| response.status);
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

/// The recorded answer to a request around the proxy.
fn direct_response(recorded: &Value) -> Option<Response> {
    let status = recorded["status"].as_u64().and_then(|status| u16::try_from(status).ok())?;
    let fields = recorded["headers"].as_object().into_iter().flatten();
    let headers = fields.flat_map(|(name, value)| {
        let values = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        values.iter().filter_map(|value| Some((name.clone(), value.as_str()?.to_owned())))
    });
    Some(Response {
        status,
        reason: String::new(),
        version: "HTTP/1.1".to_owned(),
        headers: headers.collect(),
        body: Payload::Whole(recorded["body"].as_str().unwrap_or_default().to_owned().into()),
        gunzipped: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_recorded_answer_hands_out_what_later_requests_need() {
        let recorded =
            json!({"status": 200, "headers": {"set-cookie": ["s=1; path=/"]}, "body": "{\"csrf\":\"c\"}"});
        let response = direct_response(&recorded).unwrap();
        assert_eq!(response.header("set-cookie"), Some("s=1; path=/"));
        assert_eq!(response.content().text(), Some("{\"csrf\":\"c\"}"));
        assert_eq!(direct_response(&json!({"error": "ECONNREFUSED"})), None);
    }
}
