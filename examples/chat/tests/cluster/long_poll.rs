use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::node::Node;

/// A long-poll session whose requests go to any node.
pub(crate) struct Session {
    token: String,
}

impl Session {
    pub(crate) async fn open(node: &Node, user: &str) -> Self {
        let answer = request(node, "GET", &format!("user={user}"), String::new()).await;
        assert_eq!(answer["status"], 410, "{answer}");
        Self { token: answer["token"].as_str().expect("a session has a token").to_owned() }
    }

    pub(crate) async fn post(&self, node: &Node, message: &Value) {
        let answer = request(node, "POST", &format!("token={}", self.token), message.to_string()).await;
        assert_eq!(answer["status"], 200, "{answer}");
    }

    /// Polls until there is a message with this event, and returns its payload.
    pub(crate) async fn receive(&self, node: &Node, event: &str) -> Value {
        loop {
            let answer = request(node, "GET", &format!("token={}", self.token), String::new()).await;
            assert!(answer["status"] == 200 || answer["status"] == 204, "{answer}");
            let messages = answer["messages"].as_array().expect("a poll has messages");
            let mut messages = messages.iter().map(|text| -> Value {
                serde_json::from_str(text.as_str().expect("a message is a text")).expect("it is JSON")
            });
            if let Some(mut message) = messages.find(|message| message[3] == event) {
                return message[4].take();
            }
        }
    }
}

async fn request(node: &Node, method: &'static str, query: &str, body: String) -> Value {
    let port = node.port();
    let head = format!(
        "{method} /socket/longpoll?vsn=2.0.0&{query} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = tokio::task::spawn_blocking(move || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all((head + &body).as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    let answer = answer.await.expect("the request is made").expect("it is answered");
    let body =
        &answer[answer.find('{').expect("the answer is JSON")..=answer.rfind('}').expect("it is complete")];
    serde_json::from_str(body).expect("the answer is JSON")
}
