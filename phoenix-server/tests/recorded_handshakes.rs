//! Replays the requests of recorded handshakes and compares the decisions with the answers of the real server.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use http::{Method, Request};
use phoenix_server::{
    CheckOrigin, ConnectInfo, ConnectInfoKey, ConnectInfoOptions, HttpRequest, Params, PathPattern, PeerData,
    Subprotocols, UnixMillis,
};
use serde_json::{Value, json};

#[test]
fn origins() {
    let replay = Replay::of("ws_origin.v2");
    assert_eq!(replay.outcomes(), [("404", 0), ("400", 0), ("403", 20), ("accepted", 23)]);
}

/// A token that cannot be decoded is refused with 403 instead of 500. The recorded one in url-safe letters would be
/// decoded here, but is not UTF-8.
#[test]
fn auth_tokens() {
    let replay = Replay::with_differences("ws_auth_token.v2", &["token is not base64", "URL-safe alphabet"]);
    assert_eq!(replay.outcomes(), [("404", 0), ("400", 0), ("403", 6), ("accepted", 16)]);
    assert_eq!(replay.infos_compared, 14);
}

#[test]
fn connect_info_over_websocket() {
    let replay = Replay::of("ws_connect_info.v2");
    assert_eq!(replay.outcomes(), [("404", 0), ("400", 0), ("403", 0), ("accepted", 6)]);
    assert_eq!(replay.infos_compared, 4);
}

#[test]
fn connect_info_over_longpoll() {
    let replay = Replay::of("lp_connect_info.v2");
    assert_eq!(replay.outcomes(), [("404", 0), ("400", 0), ("403", 0), ("accepted", 1)]);
    assert_eq!(replay.infos_compared, 1);
}

/// A request without `host` never reaches a socket: that is the business of the HTTP server.
#[test]
fn paths_and_methods() {
    let replay = Replay::with_differences("ws_upgrade_errors.v2", &["no Host"]);
    assert_eq!(replay.outcomes(), [("404", 6), ("400", 3), ("403", 2), ("accepted", 15)]);
}

/// A `vsn` that is a map is refused like any other that is not a text: 403 instead of 500.
#[test]
fn versions_and_query_strings() {
    let replay = Replay::with_differences("ws_vsn", &["vsn map"]);
    assert_eq!(replay.outcomes(), [("404", 0), ("400", 1), ("403", 16), ("accepted", 15)]);
}

/// What the facts say about a request; the upgrade itself, which may still answer 400, is not decided here.
#[derive(Debug)]
enum Outcome {
    NotFound,
    BadRequest,
    Forbidden { subprotocol: Option<String> },
    Accepted { subprotocol: Option<String>, info: Box<ConnectInfo> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    WebSocket,
    LongPoll,
}

/// A transport of a socket of the reference application.
struct Mount {
    name: &'static str,
    path: PathPattern,
    transport: Transport,
    check_origin: CheckOrigin,
    subprotocols: Subprotocols,
    connect_info: ConnectInfoOptions,
}

struct Replay {
    outcomes: [usize; 4],
    infos_compared: usize,
}

impl Replay {
    fn of(recording: &str) -> Self {
        Self::with_differences(recording, &[])
    }

    /// Each of the notes must introduce a request whose outcome is not the recorded one.
    fn with_differences(recording: &str, differing_notes: &[&str]) -> Self {
        let mounts = mounts();
        let mut replay = Self { outcomes: [0; 4], infos_compared: 0 };
        let mut note = String::new();
        let mut differences = Vec::new();
        let mut waiting: HashMap<u64, Outcome> = HashMap::new();
        let mut infos: HashMap<String, Box<ConnectInfo>> = HashMap::new();
        for event in read(recording) {
            let conn = event["conn"].as_u64().unwrap_or_default();
            match event["kind"].as_str().unwrap() {
                "note" => event["text"].as_str().unwrap().clone_into(&mut note),
                "open" | "request" if !polls(&event) => {
                    waiting.insert(conn, decide(&mounts, &request(&event)));
                }
                "open_response" | "response" => {
                    if let Some(outcome) = waiting.remove(&conn) {
                        if !outcome.agrees_with(&event) {
                            differences.push(note.clone());
                        }
                        replay.outcomes[outcome.number()] += 1;
                        if let Outcome::Accepted { info, .. } = outcome {
                            infos.insert(event["client"].as_str().unwrap().to_owned(), info);
                        }
                    }
                    replay.compare_infos(&event, &infos, messages(&event));
                }
                "text" if event["dir"] == "s2c" => {
                    let message = event["data"].as_str().unwrap().to_owned();
                    replay.compare_infos(&event, &infos, vec![message]);
                }
                _ => {}
            }
        }
        assert_eq!(differences.len(), differing_notes.len(), "{differences:#?}");
        for (difference, expected) in differences.iter().zip(differing_notes) {
            assert!(difference.contains(expected), "{difference}");
        }
        replay
    }

    fn outcomes(&self) -> [(&'static str, usize); 4] {
        let [not_found, bad_request, forbidden, accepted] = self.outcomes;
        [("404", not_found), ("400", bad_request), ("403", forbidden), ("accepted", accepted)]
    }

    /// Compares what the reference application told about its connection with what ours would have known.
    fn compare_infos(
        &mut self,
        event: &Value,
        infos: &HashMap<String, Box<ConnectInfo>>,
        messages: Vec<String>,
    ) {
        for message in messages {
            let message: Value = serde_json::from_str(&message).unwrap();
            let mut told = message[4]["response"].clone();
            if told.get("info").is_none() {
                continue;
            }
            if let Some(port) = told["info"].pointer_mut("/peer_data/port") {
                *port = PEER.port().into();
            }
            let info = &infos[event["client"].as_str().unwrap()];
            assert_eq!(json!({"info": info_as_json(info), "params": info.params}), told);
            self.infos_compared += 1;
        }
    }
}

impl Outcome {
    fn number(&self) -> usize {
        match self {
            Self::NotFound => 0,
            Self::BadRequest => 1,
            Self::Forbidden { .. } => 2,
            Self::Accepted { .. } => 3,
        }
    }

    fn agrees_with(&self, answer: &Value) -> bool {
        let longpoll: Value =
            serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
        let status = match longpoll["status"].as_u64() {
            Some(status) => status,
            None => answer["status"].as_u64().unwrap(),
        };
        let body = answer["body"].as_str().unwrap_or_default();
        let upgrade_error = status == 400 && (body.contains("' header") || body.starts_with("HTTP version"));
        let headers = answer["headers"].as_array().unwrap();
        let chosen =
            headers.iter().find(|header| header[0] == "sec-websocket-protocol").map(|header| &header[1]);
        match self {
            Self::NotFound => status == 404,
            Self::BadRequest => status == 400 && !upgrade_error,
            Self::Forbidden { subprotocol } => {
                status == 403 && subprotocol.as_deref() == chosen.and_then(Value::as_str)
            }
            Self::Accepted { subprotocol, .. } => {
                (matches!(status, 101 | 200 | 410) || upgrade_error)
                    && subprotocol.as_deref() == chosen.and_then(Value::as_str)
            }
        }
    }
}

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

/// The steps of protocol §7.2 in their order.
fn decide(mounts: &[Mount], request: &HttpRequest) -> Outcome {
    let matching =
        mounts.iter().find_map(|mount| Some((mount, mount.path.match_path(request.path()).unwrap()?)));
    let Some((mount, path_params)) = matching else {
        return Outcome::NotFound;
    };
    if mount.transport == Transport::WebSocket && request.method() != Method::GET {
        return Outcome::BadRequest;
    }
    let Ok(params) = Params::parse(request.query()) else {
        return Outcome::BadRequest;
    };
    let params = params.with_path(&path_params);
    if mount.check_origin.check(request, Some("localhost")).is_err() {
        return Outcome::Forbidden { subprotocol: None };
    }
    let (info, subprotocol) = match mount.transport {
        Transport::LongPoll => (mount.connect_info.for_longpoll(request, params, UnixMillis(0)), None),
        Transport::WebSocket => {
            let Ok(negotiation) = mount.subprotocols.negotiate(request.headers()) else {
                return Outcome::Forbidden { subprotocol: None };
            };
            let info = mount.connect_info.for_websocket(request, params, &negotiation, UnixMillis(0));
            (info, negotiation.chosen.map(|chosen| chosen.to_str().unwrap().to_owned()))
        }
    };
    let served = info.params.vsn().is_ok_and(|vsn| is_served(mount.name, vsn));
    if served && connects(mount.name, &info) {
        Outcome::Accepted { subprotocol, info: Box::new(info) }
    } else {
        Outcome::Forbidden { subprotocol }
    }
}

/// Stands in for the serializers of the mount.
fn is_served(mount: &str, vsn: Option<&str>) -> bool {
    match vsn {
        None | Some("1.0.0" | "1.0.5") => true,
        Some("2.0.0" | "2.0.9" | "2.0.0+build" | "2.0.1-rc.1") => mount != "/v1only",
        Some(_) => false,
    }
}

/// Stands in for `connect` of the reference application.
fn connects(mount: &str, info: &ConnectInfo) -> bool {
    match mount {
        "/auth" => info.params.text("token") == Some("good"),
        "/authtoken" | "/authtoken_sub" => info.auth_token.as_deref() != Some("bad"),
        _ => true,
    }
}

fn mounts() -> Vec<Mount> {
    use ConnectInfoKey as Key;
    let keys = |keys: &[Key]| ConnectInfoOptions::default().with_keys(keys.iter().copied());
    let most = keys(&[Key::PeerData, Key::XHeaders, Key::Uri, Key::UserAgent, Key::TraceContextHeaders]);
    let most = most.with_custom("custom", "kw");
    let no_info = || keys(&[]);
    let origins = |list: &[&str]| CheckOrigin::list(list.iter().copied()).unwrap();
    let sip = Subprotocols::supporting(["sip"]).unwrap();

    let mut mounts = vec![
        Mount::websocket("/socket", most.clone().with_keys([Key::SecWebsocketHeaders])),
        Mount::longpoll("/socket", most),
        Mount::websocket("/auth", no_info()),
        Mount::websocket("/authtoken", keys(&[Key::XHeaders, Key::SecWebsocketHeaders, Key::AuthToken]))
            .offering(Subprotocols::default().with_auth_token()),
        Mount::longpoll("/authtoken", keys(&[Key::XHeaders, Key::AuthToken])),
        Mount::websocket("/authtoken_sub", keys(&[Key::AuthToken])).offering(sip.with_auth_token()),
        Mount::websocket("/connect2", no_info()),
        Mount::websocket("/v1only", no_info()),
        Mount::websocket("/wsonly", no_info()),
        Mount::longpoll("/lponly", no_info()),
        Mount::new("/tenant/:tenant", "/ws/:device", Transport::WebSocket, keys(&[Key::Uri])),
        Mount::new("/tenant/:tenant", "/lp/:device", Transport::LongPoll, keys(&[Key::Uri])),
    ];
    for (name, check_origin) in [
        ("/strict", origins(&["//example.com"])),
        ("/strict_wild", origins(&["https://*.example.com", "http://other.com:8080"])),
        ("/strict_true", CheckOrigin::Host),
        ("/strict_conn", CheckOrigin::Conn),
    ] {
        mounts.push(Mount { check_origin: check_origin.clone(), ..Mount::websocket(name, no_info()) });
        mounts.push(Mount { check_origin, ..Mount::longpoll(name, no_info()) });
    }
    mounts
}

impl Mount {
    fn new(name: &'static str, path: &str, transport: Transport, connect_info: ConnectInfoOptions) -> Self {
        Self {
            name,
            path: PathPattern::new(name, path).unwrap(),
            transport,
            check_origin: CheckOrigin::Off,
            subprotocols: Subprotocols::default(),
            connect_info,
        }
    }

    fn websocket(name: &'static str, connect_info: ConnectInfoOptions) -> Self {
        Self::new(name, "/websocket", Transport::WebSocket, connect_info)
    }

    fn longpoll(name: &'static str, connect_info: ConnectInfoOptions) -> Self {
        Self::new(name, "/longpoll", Transport::LongPoll, connect_info)
    }

    fn offering(self, subprotocols: Subprotocols) -> Self {
        Self { subprotocols, ..self }
    }
}

/// The form in which the reference application tells its clients what it knows.
fn info_as_json(info: &ConnectInfo) -> Value {
    use ConnectInfoKey as Key;
    let mut told = info.custom.clone();
    let mut tell = |key, name: &str, value: Value| {
        if info.has(key) {
            told.insert(name.to_owned(), value);
        }
    };
    if let Some(PeerData { address: Some(address), .. }) = info.peer_data {
        let peer = json!({"address": address.ip(), "port": address.port(), "ssl_cert": "nil"});
        tell(Key::PeerData, "peer_data", peer);
    }
    let mut uri = json!(info.uri);
    if let Value::Object(uri) = &mut uri {
        uri.insert("fragment".to_owned(), Value::Null);
        uri.insert("userinfo".to_owned(), Value::Null);
    }
    tell(Key::Uri, "uri", uri);
    tell(Key::TraceContextHeaders, "trace_context_headers", json!(info.trace_context_headers));
    tell(Key::XHeaders, "x_headers", json!(info.x_headers));
    tell(Key::SecWebsocketHeaders, "sec_websocket_headers", json!(info.sec_websocket_headers));
    tell(Key::UserAgent, "user_agent", json!(info.user_agent));
    tell(Key::AuthToken, "auth_token", json!(info.auth_token));
    Value::Object(told)
}

/// Whether a request belongs to a long-poll session that is already open.
fn polls(event: &Value) -> bool {
    event["transport"] == "longpoll" && event["query"].as_str().unwrap().contains("token=SFMyNTY")
}

/// The messages in the answer to a poll.
fn messages(answer: &Value) -> Vec<String> {
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    messages.iter().map(|message| message.as_str().unwrap().to_owned()).collect()
}

fn request(event: &Value) -> HttpRequest {
    let text = |name: &str| event[name].as_str().unwrap();
    let target = if text("query").is_empty() {
        text("path").to_owned()
    } else {
        format!("{}?{}", text("path"), text("query"))
    };
    let mut request = Request::builder().method(text("method")).uri(target);
    for header in event["headers"].as_array().unwrap() {
        request = request.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    HttpRequest::new(parts).with_peer(PeerData { address: Some(PEER), tls_certificate: None })
}

fn read(recording: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/recordings");
    let text = std::fs::read_to_string(folder.join(format!("{recording}.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
