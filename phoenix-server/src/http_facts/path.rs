use percent_encoding::percent_decode_str;
use thiserror::Error;

use super::ParamsError;

/// Where a transport is mounted: a path of literals and `:name` variables (protocol §7.1).
///
/// A request matches segment by segment. Empty segments are dropped, so `//socket//websocket/` is `/socket/websocket`.
/// Literals are compared as they were sent: case-sensitive and not percent-decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
    text: String,
    /// Whether it has no variables.
    is_literal: bool,
}

/// A mount or transport path that cannot be matched.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathPatternError {
    /// A `:` is not followed by a letter or `_` and then letters, digits or `_`.
    #[error("{0:?} is no variable: a name has letters, digits and '_' and does not start with a digit")]
    VariableName(String),
    /// A variable occurs twice.
    #[error("the variable {0:?} occurs twice")]
    DuplicateVariable(String),
    /// A literal has a character that no segment of a request path can have or that is reserved in patterns.
    #[error("the segment {0:?} can never be part of a request path")]
    Literal(String),
}

/// The variables of a matched path, percent-decoded, in order; names that start with `_` are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathParams(Vec<(String, String)>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Variable(String),
}

impl PathPattern {
    /// The path of a transport below the mount path of a socket, `/socket` and `/websocket` for example.
    pub fn new(mount: &str, transport: &str) -> Result<Self, PathPatternError> {
        let mut segments = Vec::new();
        let mut path = String::new();
        for text in split(mount).chain(split(transport)) {
            path.push('/');
            path.push_str(text);
            let segment = Segment::parse(text)?;
            if matches!(segment, Segment::Variable(_)) && segments.contains(&segment) {
                return Err(PathPatternError::DuplicateVariable(text[1..].to_owned()));
            }
            segments.push(segment);
        }
        let is_literal = segments.iter().all(|segment| matches!(segment, Segment::Literal(_)));
        Ok(Self { segments, text: path, is_literal })
    }

    /// The pattern as text, with variables as `:name`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The variables of a path that matches; `None` if it does not and belongs to the rest of the application.
    ///
    /// # Errors
    /// [`ParamsError::InvalidUtf8`] if it matches but a variable is not UTF-8 after decoding.
    pub fn match_path(&self, path: &str) -> Result<Option<PathParams>, ParamsError> {
        if self.is_literal && path == self.text {
            return Ok(Some(PathParams::default()));
        }
        let mut variables = Vec::new();
        let mut parts = split(path);
        for segment in &self.segments {
            match (segment, parts.next()) {
                (Segment::Literal(literal), Some(part)) if literal == part => {}
                (Segment::Variable(name), Some(part)) => variables.push((name, part)),
                _ => return Ok(None),
            }
        }
        if parts.next().is_some() {
            return Ok(None);
        }
        let shown = variables.into_iter().filter(|(name, _)| !name.starts_with('_'));
        let decoded = shown.map(|(name, part)| match percent_decode_str(part).decode_utf8() {
            Ok(value) => Ok((name.clone(), value.into_owned())),
            Err(_) => Err(ParamsError::InvalidUtf8),
        });
        Ok(Some(PathParams(decoded.collect::<Result<_, _>>()?)))
    }
}

impl PathParams {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Names and values in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, PathPatternError> {
        let Some(name) = text.strip_prefix(':') else {
            let reserved =
                |c: char| matches!(c, ':' | '*' | '?' | '#') || c.is_whitespace() || c.is_control();
            return if text.contains(reserved) {
                Err(PathPatternError::Literal(text.to_owned()))
            } else {
                Ok(Self::Literal(text.to_owned()))
            };
        };
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if starts_well && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            Ok(Self::Variable(name.to_owned()))
        } else {
            Err(PathPatternError::VariableName(text.to_owned()))
        }
    }
}

fn split(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_match_exactly_and_empty_segments_do_not_count() {
        let pattern = PathPattern::new("/socket", "/websocket").unwrap();
        for path in
            ["/socket/websocket", "/socket/websocket/", "//socket//websocket", "///socket/websocket//"]
        {
            assert_eq!(pattern.match_path(path), Ok(Some(PathParams::default())), "{path}");
        }
        for path in [
            "/socket",
            "/",
            "",
            "/Socket/websocket",
            "/s%6fcket/websocket",
            "/socket/websocket/x",
            "/x/socket/websocket",
        ] {
            assert_eq!(pattern.match_path(path), Ok(None), "{path}");
        }
    }

    #[test]
    fn variables_are_decoded_and_hidden_ones_left_out() {
        let pattern = PathPattern::new("/tenant/:tenant/:_ignored", "ws/v1/:device").unwrap();
        let params = pattern.match_path("/tenant/a%20c+me/x/ws/v1/%zz").unwrap().unwrap();
        assert_eq!(params.iter().collect::<Vec<_>>(), [("tenant", "a c+me"), ("device", "%zz")]);
        assert_eq!(params.get("device"), Some("%zz"));
        assert_eq!(params.get("_ignored"), None);
        assert_eq!(pattern.match_path("/tenant/%ff/x/ws/v1/y"), Err(ParamsError::InvalidUtf8));
        assert_eq!(pattern.match_path("/tenant/%ff/x/ws/v2/y"), Ok(None));
    }

    #[test]
    fn patterns_that_cannot_match_are_refused() {
        use PathPatternError::{DuplicateVariable, Literal, VariableName};
        for (mount, transport, error) in [
            ("/a/:", "/ws", VariableName(":".to_owned())),
            ("/a/:1b", "/ws", VariableName(":1b".to_owned())),
            ("/a/:b-c", "/ws", VariableName(":b-c".to_owned())),
            ("/:b", "/ws/:b", DuplicateVariable("b".to_owned())),
            ("/a:b", "/ws", Literal("a:b".to_owned())),
            ("/*rest", "/ws", Literal("*rest".to_owned())),
            ("/a?b", "/ws", Literal("a?b".to_owned())),
        ] {
            assert_eq!(PathPattern::new(mount, transport), Err(error));
        }
    }
}
