use std::borrow::Cow;

use crate::Frame;
use crate::json::plain_end;

/// What a client is told, as the body of an HTTP answer whose own status is always 200 (protocol §15.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// A new session with its token.
    Opened(&'a str),
    /// The messages of a session with its token.
    Messages(&'a str, &'a Messages),
    /// There was nothing for a session within the window.
    NoContent(&'a str),
    /// What was posted is processed.
    Accepted,
    /// The origin, the version or the socket refuses.
    Forbidden,
    /// What was posted is not processed within the window.
    Timeout,
    /// There is no such session.
    Gone,
}

/// Messages for the client as the text of a JSON list of strings, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Messages(String);

impl Answer<'_> {
    /// The body, with the keys in the order of Phoenix.
    pub fn to_json(self) -> Cow<'static, str> {
        let status = match self {
            Self::Opened(token) => return with_token("[]", "410", token).into(),
            Self::Messages(token, messages) => return with_token(&messages.0, "200", token).into(),
            Self::NoContent(token) => return with_token("[]", "204", token).into(),
            Self::Accepted => r#"{"status":200}"#,
            Self::Forbidden => r#"{"status":403}"#,
            Self::Timeout => r#"{"status":408}"#,
            Self::Gone => r#"{"status":410}"#,
        };
        status.into()
    }
}

impl Messages {
    /// Encodes frames; each becomes one string.
    ///
    /// What is no UTF-8 is replaced: a [`Session`](super::Session) refuses binary frames before.
    pub fn encode(frames: &[Frame]) -> Self {
        // Room for the escapes of a message with a few fields.
        let mut json =
            String::with_capacity(2 + frames.iter().map(|frame| frame.len() * 5 / 4 + 32).sum::<usize>());
        json.push('[');
        for frame in frames {
            if json.len() > 1 {
                json.push(',');
            }
            push_string(&mut json, &frame.to_text());
        }
        json.push(']');
        Self(json)
    }

    /// The JSON list.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a list that another node has encoded.
    pub fn from_encoded(json: impl Into<String>) -> Self {
        Self(json.into())
    }
}

fn with_token(messages: &str, status: &str, token: &str) -> String {
    let mut json = String::with_capacity(messages.len() + token.len() + 40);
    json.push_str("{\"messages\":");
    json.push_str(messages);
    json.push_str(",\"status\":");
    json.push_str(status);
    json.push_str(",\"token\":");
    push_string(&mut json, token);
    json.push('}');
    json
}

fn push_string(json: &mut String, text: &str) {
    json.push('"');
    let mut plain = 0;
    loop {
        let at = plain_end(text.as_bytes(), plain);
        json.push_str(&text[plain..at]);
        let Some(byte) = text.as_bytes().get(at) else { break };
        let control;
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0C => "\\f",
            _ => {
                control = format!("\\u{byte:04X}");
                &control
            }
        };
        json.push_str(escape);
        plain = at + 1;
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bodies_are_those_of_phoenix() {
        let text = r#"["1","1","echo:raw","phx_reply",{"response":{},"status":"ok"}]"#;
        let messages = Messages::encode(&[frame(text)]);
        for (answer, json) in [
            (Answer::Opened("T"), r#"{"messages":[],"status":410,"token":"T"}"#),
            (
                Answer::Messages("T", &messages),
                concat!(
                    r#"{"messages":["[\"1\",\"1\",\"echo:raw\",\"phx_reply\","#,
                    r#"{\"response\":{},\"status\":\"ok\"}]"],"status":200,"token":"T"}"#
                ),
            ),
            (Answer::NoContent("T"), r#"{"messages":[],"status":204,"token":"T"}"#),
            (Answer::Accepted, r#"{"status":200}"#),
            (Answer::Forbidden, r#"{"status":403}"#),
            (Answer::Timeout, r#"{"status":408}"#),
            (Answer::Gone, r#"{"status":410}"#),
        ] {
            assert_eq!(answer.to_json(), json);
        }
    }

    /// Recorded from Phoenix: a binary reply that happens to be UTF-8.
    #[test]
    fn binary_frames_go_out_as_they_are() {
        let binary = Frame::binary(0, |out| out.extend_from_slice(b"\x01\x01\x01\x06\x0212echo:bokABC"));
        assert_eq!(
            Messages::encode(&[binary, frame("é")]).as_str(),
            r#"["\u0001\u0001\u0001\u0006\u000212echo:bokABC","é"]"#
        );
    }

    proptest! {
        #[test]
        fn every_text_survives(texts in prop::collection::vec("\\PC{0,20}|[\\x00-\\x7f]{0,20}", 0..4)) {
            let frames: Vec<_> = texts.iter().map(|text| frame(text)).collect();
            let decoded: Vec<String> = serde_json::from_str(Messages::encode(&frames).as_str()).unwrap();
            prop_assert_eq!(decoded, texts);
        }
    }

    fn frame(text: &str) -> Frame {
        Frame::text(text.len(), |out| out.extend_from_slice(text.as_bytes()))
    }
}
