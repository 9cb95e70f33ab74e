//! V2 JSON messages: the five elements are found, never decoded.

use memchr::memmem::Finder;

/// The five elements of one message, as they stand in the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// Raw token, quotes included, or `null`.
    pub(crate) join_ref: &'a [u8],
    /// Raw token, quotes included, or `null`.
    pub(crate) reference: &'a [u8],
    /// What stands between the quotes; escapes are left as they are.
    pub(crate) topic: &'a [u8],
    /// What stands between the quotes; escapes are left as they are.
    pub(crate) event: &'a [u8],
    /// Raw JSON.
    pub(crate) payload: &'a [u8],
}

/// Finds the five elements; `None` when `text` is not an array that starts with four strings or nulls.
pub(crate) fn parse(text: &[u8]) -> Option<Message<'_>> {
    let rest = text.trim_ascii().strip_prefix(b"[")?.strip_suffix(b"]")?;
    let (join_ref, rest) = element(rest)?;
    let (reference, rest) = element(rest)?;
    let (topic, rest) = element(rest)?;
    let (event, payload) = element(rest)?;
    Some(Message {
        join_ref,
        reference,
        topic: unquote(topic)?,
        event: unquote(event)?,
        payload: payload.trim_ascii(),
    })
}

/// The number in a ref token such as `"17"` or `17`.
pub(crate) fn number(token: &[u8]) -> Option<u64> {
    std::str::from_utf8(unquote(token).unwrap_or(token)).ok()?.parse().ok()
}

/// Whether the payload of a `phx_reply` says ok.
pub(crate) fn is_ok(payload: &[u8]) -> bool {
    // The status stands first or last in what servers write; a search of the whole covers other spacing.
    payload.starts_with(br#"{"status":"ok""#)
        || payload.ends_with(br#""status":"ok"}"#)
        || memchr::memmem::find(payload, br#""status": "ok""#).is_some()
        || memchr::memmem::find(payload, br#""status":"ok""#).is_some()
}

/// Reads one unsigned number field by its name, wherever it stands in the payload.
pub(crate) struct Field(Finder<'static>);

impl Field {
    /// `quoted` is the name in its quotes.
    pub(crate) fn new(quoted: &'static str) -> Self {
        Self(Finder::new(quoted))
    }

    pub(crate) fn read(&self, payload: &[u8]) -> Option<u64> {
        let at = self.0.find(payload)? + self.0.needle().len();
        let value = payload[at..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
        number(&value[..digits])
    }
}

fn element(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = rest.trim_ascii_start();
    let end =
        if rest.starts_with(b"\"") { string_end(rest)? } else { rest.starts_with(b"null").then_some(4)? };
    let (token, rest) = rest.split_at(end);
    Some((token, rest.trim_ascii_start().strip_prefix(b",")?))
}

fn string_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

fn unquote(token: &[u8]) -> Option<&[u8]> {
    token.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_elements_are_found_whatever_the_spacing() {
        let message = parse(br#" [ null , "7","a\"]","e" , {"x":[1,"]"]} ] "#).unwrap();
        assert_eq!(
            message,
            Message {
                join_ref: b"null",
                reference: br#""7""#,
                topic: br#"a\"]"#,
                event: b"e",
                payload: br#"{"x":[1,"]"]}"#
            }
        );
        assert_eq!(number(message.reference), Some(7));
    }

    #[test]
    fn what_is_no_message_is_none() {
        for text in ["", "{}", "[]", r#"["1","2","t"]"#, r#"["1","2","t"#, r#"[1,2,"t","e",{}]"#] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_field_is_read_wherever_it_stands() {
        let seq = Field::new("\"seq\"");
        assert_eq!(seq.read(br#"{"from":3,"seq":42,"text":"x"}"#), Some(42));
        assert_eq!(seq.read(br#"{"text":"x", "seq" : 9}"#), Some(9));
        assert_eq!(seq.read(br#"{"seq":"x"}"#), None);
        assert_eq!(seq.read(b"{}"), None);
    }

    #[test]
    fn a_reply_is_ok_in_either_order_of_its_keys() {
        assert!(is_ok(br#"{"status":"ok","response":{}}"#));
        assert!(is_ok(br#"{"response":{},"status":"ok"}"#));
        assert!(!is_ok(br#"{"response":{},"status":"error"}"#));
    }
}
