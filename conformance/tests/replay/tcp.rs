//! Over real sockets.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use phoenix_conformance::net::{Dial, TcpDial};
use phoenix_conformance::recording::{Conn, Direction, Event, Item, Meta, Recording, Transport};
use phoenix_conformance::{Recorder, Replay};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Control, Playback, recording};

#[tokio::test]
async fn a_replay_through_the_recorder_gives_the_same_recording_again() {
    for name in ["ws_connect_heartbeat.v2", "lp_connect_info.v2"] {
        let server = serve(Playback::start(recording(name))).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let mut meta = Meta::default();
        meta.scenario = name.to_owned();
        let output = Output::default();
        let recorder = Recorder::new(vec![listener], server.to_string(), meta, output.clone()).unwrap();
        let recorder = tokio::spawn(recorder.run());

        // The playback takes itself for another port than the proxy's.
        let dial = Arc::new(TcpDial::new(proxy.to_string()));
        let replay = Replay::with_dial(dial, crate::support::AUTHORITY).ctl_dial(Arc::new(Control));
        replay.recordings([recording(name)]).run().await.unwrap().assert_ok();

        recorder.abort();
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        let again = Recording::parse(name, text.lines()).unwrap();
        assert_eq!(again.meta().unwrap().scenario, name);
        assert_eq!(outline(&again), outline(&recording(name)));
    }
}

#[tokio::test]
async fn a_control_call_through_the_recorder_becomes_one_line() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = server.local_addr().unwrap().to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let output = Output::default();
    let recorder = Recorder::new(vec![listener], upstream, Meta::default(), output.clone()).unwrap();
    let recorder = tokio::spawn(recorder.run());
    client
        .write_all(b"POST /ctl/kill HTTP/1.1\r\ncontent-length: 13\r\n\r\n{\"topic\":\"t\"}")
        .await
        .unwrap();
    let (mut accepted, _) = server.accept().await.unwrap();
    assert!(accepted.read(&mut [0; 1024]).await.unwrap() > 0);
    accepted.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"count\":1}").await.unwrap();
    assert!(client.read(&mut [0; 1024]).await.unwrap() > 0);
    recorder.abort();

    let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
    let recording = Recording::parse("control", text.lines()).unwrap();
    let [_, control] = &recording.entries[..] else { panic!("{text}") };
    let Item::Ctl(ctl) = &control.item else { panic!("{text}") };
    assert_eq!(
        (ctl.action.as_str(), &ctl.request["topic"], &ctl.response["count"]),
        ("kill", &"t".into(), &1.into())
    );
}

#[tokio::test]
async fn a_server_is_given_by_its_url() {
    let server = serve(Playback::start(recording("ws_upgrade_errors.v2"))).await;
    let url = format!("http://{server}");
    let replay = Replay::new(&url).unwrap().filter("ws_upgrade_errors.*").unwrap();
    replay.run().await.unwrap().assert_ok();
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let lines = [
        r#"{"t":0,"kind":"meta","scenario":"reset"}"#,
        r#"{"t":1,"client":"A","conn":1,"dir":"c2s","transport":"http","kind":"tcp_fin"}"#,
        r#"{"t":2,"client":"A","conn":2,"dir":"c2s","transport":"websocket","kind":"tcp_rst"}"#,
    ];
    let reset = Recording::parse("reset", lines).unwrap();
    let (report, read) = tokio::join!(Replay::new(&url).unwrap().recordings([reset]).run(), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read(&mut [0; 16]).await
    });
    report.unwrap().assert_ok();
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

/// Puts a playback behind a TCP port.
async fn serve(playback: Playback) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = playback.dial().await.unwrap();
            tokio::spawn(async move {
                // A connection that was reset has nothing more to carry.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

/// What was recorded, without times, and per direction: the two race each other.
fn outline(recording: &Recording) -> Vec<(Conn, Transport, String)> {
    let mut outline: Vec<_> = recording
        .entries
        .iter()
        .filter_map(|entry| match &entry.item {
            Item::Wire(wire) => {
                let what = match &wire.event {
                    Event::Request(request) => format!("{} {}", request.method, request.path),
                    Event::Response(response) => response.status.to_string(),
                    other => format!("{other:?}"),
                };
                Some((wire.conn, wire.transport, wire.dir == Direction::ClientToServer, what))
            }
            _ => None,
        })
        .collect();
    outline.sort_by_key(|(conn, _, from_client, _)| (*conn, *from_client));
    outline.into_iter().map(|(conn, transport, _, what)| (conn, transport, what)).collect()
}

/// Keeps what is written.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
