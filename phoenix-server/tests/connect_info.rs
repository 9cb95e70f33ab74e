//! What an application learns about a request when a socket connects.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Uri};
use phoenix_server::{
    CheckOrigin, ConnectInfo, ConnectInfoError, ConnectInfoKey as Key, ConnectInfoOptions, CsrfState,
    HttpRequest, Params, PeerData, SecretKeyBase, Session, SessionConfig, SessionStore, Subprotocols,
    UnixMillis,
};
use serde_json::json;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

#[test]
fn what_is_not_selected_is_empty() {
    let request = full_request();
    let params = Params::parse("a=1").unwrap();
    let info = ConnectInfoOptions::default().for_longpoll(&request, params.clone(), NOW);
    assert_eq!(info.params, params);
    assert_eq!(info, {
        let mut empty = ConnectInfo::default();
        empty.params = params;
        empty
    });
    assert!(ALL.iter().all(|key| !info.has(*key)));
}

#[test]
fn what_is_selected_is_filled() {
    let options =
        ConnectInfoOptions::default().with_keys(ALL).with_custom("custom", "kw").with_custom("n", 1);
    let info = options.for_longpoll(&full_request(), Params::default(), NOW);
    assert!(ALL.iter().all(|key| info.has(*key)));
    assert_eq!(info.peer_data.as_ref(), Some(full_request().peer()));
    assert_eq!(json!(info.trace_context_headers), json!([["traceparent", "00-1"], ["tracestate", "a=b"]]));
    let x_headers =
        json!([["x-multi", "1"], ["x-multi", "2"], ["x-one", "\u{fffd}"], ["x-phoenix-authtoken", "T"]]);
    assert_eq!(json!(info.x_headers), x_headers);
    assert_eq!(info.x_headers.get("x-multi"), Some("1"));
    assert_eq!(info.x_headers.get("x-none"), None);
    assert_eq!(json!(info.sec_websocket_headers), json!([["sec-websocket-key", "k"]]));
    assert_eq!(info.user_agent.as_deref(), Some("agent/1"));
    assert_eq!(info.auth_token.as_deref(), Some("T"));
    assert_eq!(json!(info.custom), json!({"custom": "kw", "n": 1}));
    assert_eq!(
        json!(info.uri),
        json!({
            "scheme": "https", "host": "example.com", "authority": "example.com", "port": 8443,
            "path": "/prefix/socket/websocket", "query": "a=%zz",
        })
    );
}

#[test]
fn what_is_selected_may_be_absent() {
    let request = HttpRequest::new(Request::get("/").body(()).unwrap().into_parts().0);
    let info = ConnectInfoOptions::default().with_keys(ALL).for_longpoll(&request, Params::default(), NOW);
    assert_eq!((info.user_agent.as_deref(), info.auth_token.as_deref()), (None, None));
    assert_eq!(info.peer_data, Some(PeerData::default()));
    assert_eq!(info.x_headers.iter().len(), 0);
    let uri = info.uri.unwrap();
    assert_eq!((uri.host.as_str(), uri.port, uri.query.as_str()), ("", 80, ""));
}

#[test]
fn a_websocket_shows_the_offer_without_the_token() {
    let options = ConnectInfoOptions::default().with_keys([Key::SecWebsocketHeaders, Key::AuthToken]);
    let subprotocols = Subprotocols::supporting(["sip"]).unwrap().with_auth_token();
    for (offer, token, shown) in [
        ("sip, base64url.bearer.phx.dA", Some("t"), json!([["sec-websocket-protocol", "sip"]])),
        ("base64url.bearer.phx.dA", Some("t"), json!([])),
        ("phoenix,sip", None, json!([["sec-websocket-protocol", "phoenix,sip"]])),
    ] {
        // The header of long-polling does not count here.
        let request =
            Request::get("/").header("sec-websocket-key", "k").header("sec-websocket-protocol", offer);
        let request = request.header("x-phoenix-authtoken", "x").header("sec-websocket-version", "13");
        let request = HttpRequest::new(request.body(()).unwrap().into_parts().0);
        let negotiation = subprotocols.negotiate(request.headers()).unwrap();
        let info = options.for_websocket(&request, Params::default(), &negotiation, NOW);
        assert_eq!(info.auth_token.as_deref(), token);
        let mut expected = shown.as_array().unwrap().clone();
        expected.insert(0, json!(["sec-websocket-key", "k"]));
        expected.push(json!(["sec-websocket-version", "13"]));
        assert_eq!(json!(info.sec_websocket_headers), json!(expected));
    }
}

#[test]
fn a_session_needs_its_cookie_and_its_token() {
    let store = store();
    let token = state().mask([3; 18]);
    let checked = || ConnectInfoOptions::default().with_session(Arc::clone(&store));
    let dynamic = {
        let store = Arc::clone(&store);
        ConnectInfoOptions::default().with_session_from(move || Arc::clone(&store))
    };
    for (options, cookie, query, found) in [
        (checked(), true, format!("_csrf_token={token}"), true),
        (dynamic, true, format!("_csrf_token={token}"), true),
        (checked(), false, format!("_csrf_token={token}"), false),
        (checked(), true, "_csrf_token=bad".to_owned(), false),
        (checked(), true, String::new(), false),
        (checked().with_check_csrf(false), true, String::new(), true),
        (checked().with_check_csrf(false), false, String::new(), false),
    ] {
        let mut request = Request::get("/");
        if cookie {
            let set_cookie = store.encode(&session(), NOW);
            request = request.header("cookie", set_cookie.to_str().unwrap().split_once(';').unwrap().0);
        }
        let request = HttpRequest::new(request.body(()).unwrap().into_parts().0);
        let info = options.for_longpoll(&request, Params::parse(&query).unwrap(), NOW);
        assert!(info.has(Key::Session));
        assert_eq!(info.session, found.then(session), "{cookie} {query}");
    }
}

#[test]
fn options_that_protect_nothing_are_refused() {
    let options = ConnectInfoOptions::default();
    assert_eq!(options.validate(&CheckOrigin::Off), Ok(()));
    let unchecked = options.clone().with_check_csrf(false);
    assert_eq!(unchecked.validate(&CheckOrigin::Host), Ok(()));
    assert_eq!(unchecked.validate(&CheckOrigin::Off), Err(ConnectInfoError::Unprotected));

    let without_store = options.clone().with_keys([Key::Session]);
    assert_eq!(without_store.validate(&CheckOrigin::Host), Err(ConnectInfoError::SessionWithoutStore));
    assert_eq!(options.with_session(store()).validate(&CheckOrigin::Host), Ok(()));
}

const ALL: [Key; 7] = [
    Key::PeerData,
    Key::TraceContextHeaders,
    Key::XHeaders,
    Key::Uri,
    Key::UserAgent,
    Key::SecWebsocketHeaders,
    Key::AuthToken,
];

/// A request behind a framework that has stripped a prefix.
fn full_request() -> HttpRequest {
    let request = Request::get("/socket/websocket?a=%zz")
        .header("Host", "example.com:8443")
        .header("X-Multi", "1")
        .header("traceparent", "00-1")
        .header("X-One", &b"\xff"[..])
        .header("User-Agent", "agent/1")
        .header("x-multi", "2")
        .header("tracestate", "a=b")
        .header("tracestuff", "no")
        .header("cookie", "secret=1")
        .header("Sec-WebSocket-Key", "k")
        .header("X-Phoenix-AuthToken", "T");
    let peer = PeerData {
        address: Some("[::1]:4000".parse().unwrap()),
        tls_certificate: Some(Bytes::from_static(b"der")),
    };
    HttpRequest::new(request.body(()).unwrap().into_parts().0)
        .with_peer(peer)
        .with_tls(true)
        .with_original_uri(Uri::from_static("/prefix/socket/websocket?a=%zz"))
}

fn store() -> Arc<SessionStore> {
    let secret = SecretKeyBase::new("s".repeat(64)).unwrap();
    Arc::new(SessionStore::new(SessionConfig::new("_key", "salt"), &secret).unwrap())
}

fn state() -> CsrfState {
    CsrfState::new([1; 18])
}

fn session() -> Session {
    serde_json::from_value(json!({"user": 7, "_csrf_token": state().as_str()})).unwrap()
}
