use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use super::PathParams;

/// The parameters of a connection: the query string overridden by the variables of the path (protocol §7.1).
///
/// Names are sorted. Serializes to a JSON object of strings, arrays and objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Params(BTreeMap<String, Param>);

/// One parameter: `a=1` is a text, `a[]=1&a[]=2` a list, `a[x]=1&a[y]=2` a map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Param {
    /// A value without brackets; a key without `=` has the empty text.
    Text(String),
    /// The values of `key[]` in the order of the query.
    List(Vec<Self>),
    /// The values of `key[name]` by name.
    Map(BTreeMap<String, Self>),
}

/// A query string or path that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// Longer than [`Params::MAX_QUERY_LENGTH`].
    #[error("the query string is longer than {max} bytes", max = Params::MAX_QUERY_LENGTH)]
    TooLong,
    /// A name or a value is not UTF-8 after percent-decoding.
    #[error("a parameter is not valid UTF-8")]
    InvalidUtf8,
    /// A name has more than [`Params::MAX_DEPTH`] pairs of brackets.
    #[error("a parameter is nested deeper than {max}", max = Params::MAX_DEPTH)]
    TooDeep,
}

/// The parameter `vsn` is a list or a map: the connection is refused like for an unsupported version (HTTP 403).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the parameter \"vsn\" is not a text")]
pub struct VsnNotText;

impl Params {
    /// The longest query string that is accepted, in bytes.
    pub const MAX_QUERY_LENGTH: usize = 1_000_000;
    /// The most pairs of brackets that a name may have.
    pub const MAX_DEPTH: usize = 32;

    /// Decodes a query string.
    ///
    /// `+` is a space and an invalid percent escape stands for itself. Of several texts of one name the last counts.
    /// If a name is used as a text, a list and a map, the last *kind* wins, and entries of the other kinds are dropped.
    pub fn parse(query: &str) -> Result<Self, ParamsError> {
        if query.len() > Self::MAX_QUERY_LENGTH {
            return Err(ParamsError::TooLong);
        }
        if is_plain(query) {
            return Ok(Self(
                pairs(query).map(|(name, value)| (name.into(), Param::Text(value.into()))).collect(),
            ));
        }
        let mut tree = Tree::default();
        for (name, value) in pairs(query) {
            tree.insert(&decode(name)?, decode(value)?.into_owned())?;
        }
        Ok(Self(tree.into_map(Tree::ROOT)))
    }

    /// The parameter of that name in a query string if it is a text, without the others.
    pub(crate) fn text_of<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, ParamsError> {
        if query.len() > Self::MAX_QUERY_LENGTH {
            return Err(ParamsError::TooLong);
        }
        if is_plain(query) {
            let last = pairs(query).filter(|(other, _)| *other == name).last();
            return Ok(last.map(|(_, value)| Cow::Borrowed(value)));
        }
        Ok(match Self::parse(query)?.0.remove(name) {
            Some(Param::Text(text)) => Some(Cow::Owned(text)),
            _ => None,
        })
    }

    /// Overrides parameters with the variables of the path.
    pub fn with_path(mut self, path: &PathParams) -> Self {
        self.0.extend(path.iter().map(|(name, value)| (name.to_owned(), Param::Text(value.to_owned()))));
        self
    }

    /// The parameter of that name.
    pub fn get(&self, name: &str) -> Option<&Param> {
        self.0.get(name)
    }

    /// The parameter of that name if it is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// The protocol version that the client asks for, to be negotiated with the serializers of the transport
    /// (protocol §5); `None` if it names none, which means 1.0.0.
    pub fn vsn(&self) -> Result<Option<&str>, VsnNotText> {
        self.get("vsn").map(|vsn| vsn.as_str().ok_or(VsnNotText)).transpose()
    }

    /// All parameters, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Param)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Turns them into a type of the application; all scalars are strings.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(self.into())
    }
}

impl Param {
    /// The text, `None` for lists and maps.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The items of a list, `None` for texts and maps.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            Self::Text(_) | Self::Map(_) => None,
        }
    }

    /// The entry of a map, `None` for texts and lists.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(name),
            Self::Text(_) | Self::List(_) => None,
        }
    }
}

impl From<&Params> for Value {
    fn from(params: &Params) -> Self {
        map_to_json(&params.0)
    }
}

impl From<&Param> for Value {
    fn from(param: &Param) -> Self {
        match param {
            Param::Text(text) => text.as_str().into(),
            Param::List(items) => items.iter().map(Self::from).collect(),
            Param::Map(map) => map_to_json(map),
        }
    }
}

impl ParamsError {
    /// The status of the HTTP answer.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLong => StatusCode::URI_TOO_LONG,
            Self::InvalidUtf8 | Self::TooDeep => StatusCode::BAD_REQUEST,
        }
    }
}

fn map_to_json(map: &BTreeMap<String, Param>) -> Value {
    Value::Object(map.iter().map(|(name, value)| (name.clone(), value.into())).collect())
}

/// Names with their values, neither decoded.
fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Whether nothing is to be decoded and nothing is nested. Looks at all of it, which is faster than to stop early.
fn is_plain(query: &str) -> bool {
    !query.bytes().fold(false, |found, byte| found | matches!(byte, b'%' | b'+' | b'['))
}

fn decode(text: &str) -> Result<Cow<'_, str>, ParamsError> {
    let spaced = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    if !spaced.contains('%') {
        return Ok(spaced);
    }
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => Ok(Cow::Owned(decoded.into_owned())),
        Err(_) => Err(ParamsError::InvalidUtf8),
    }
}

/// The levels of nested names while a query is read: `a[b]` has the levels "" (entry `a`) and `a` (entry `b`).
///
/// A level enters its parent once, when its first entry appears; so in `a[b]=1&a=2&a[c]=3` the text is what counts.
struct Tree {
    levels: Vec<Vec<(Key, Node)>>,
    index: HashMap<(usize, Key), usize>,
}

/// The name between brackets, `None` between empty ones.
type Key = Option<String>;

enum Node {
    Text(String),
    Level(usize),
}

impl Default for Tree {
    fn default() -> Self {
        Self { levels: vec![Vec::new()], index: HashMap::new() }
    }
}

impl Tree {
    const ROOT: usize = 0;

    fn insert(&mut self, name: &str, value: String) -> Result<(), ParamsError> {
        let (root, brackets) = split_brackets(name);
        let mut level = Self::ROOT;
        let mut key = Some(root.to_owned());
        for (depth, inner) in brackets.enumerate() {
            if depth == Params::MAX_DEPTH {
                return Err(ParamsError::TooDeep);
            }
            level = self.child(level, key);
            key = (!inner.is_empty()).then(|| inner.to_owned());
        }
        self.levels[level].push((key, Node::Text(value)));
        Ok(())
    }

    fn child(&mut self, parent: usize, key: Key) -> usize {
        let levels = &mut self.levels;
        *self.index.entry((parent, key.clone())).or_insert_with(|| {
            let child = levels.len();
            levels.push(Vec::new());
            levels[parent].push((key, Node::Level(child)));
            child
        })
    }

    fn into_map(mut self, level: usize) -> BTreeMap<String, Param> {
        self.take_map(level)
    }

    /// The kind of the last entry is the kind of the level.
    fn take(&mut self, level: usize) -> Param {
        match self.levels[level].last() {
            Some((None, _)) => Param::List(self.take_list(level)),
            _ => Param::Map(self.take_map(level)),
        }
    }

    fn take_map(&mut self, level: usize) -> BTreeMap<String, Param> {
        let mut map = BTreeMap::new();
        for (key, node) in std::mem::take(&mut self.levels[level]) {
            if let Some(key) = key {
                map.insert(key, self.take_node(node));
            }
        }
        map
    }

    fn take_list(&mut self, level: usize) -> Vec<Param> {
        let mut list = Vec::new();
        for (key, node) in std::mem::take(&mut self.levels[level]) {
            if key.is_none() {
                list.push(self.take_node(node));
            }
        }
        list
    }

    fn take_node(&mut self, node: Node) -> Param {
        match node {
            Node::Text(text) => Param::Text(text),
            Node::Level(level) => self.take(level),
        }
    }
}

/// The part in front of the brackets and what is between each pair of them; only a name that ends with `]` and does
/// not start with `[` has brackets.
fn split_brackets(name: &str) -> (&str, impl Iterator<Item = &str>) {
    let nested =
        name.strip_suffix(']').and_then(|name| name.split_once('[')).filter(|(root, _)| !root.is_empty());
    let (root, inner) = match nested {
        Some((root, inner)) => (root, Some(inner)),
        None => (name, None),
    };
    (root, inner.into_iter().flat_map(|inner| inner.split("][")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[test]
    fn queries_become_trees() {
        for (query, expected) in [
            ("", json!({})),
            ("a=1&b=2", json!({"a": "1", "b": "2"})),
            ("a=1&a=2", json!({"a": "2"})),
            ("a", json!({"a": ""})),
            ("a=b=c", json!({"a": "b=c"})),
            ("a[]=1&a[]=2", json!({"a": ["1", "2"]})),
            ("a[]", json!({"a": [""]})),
            ("a[x]=1&a[y]=2&a[x]=3", json!({"a": {"x": "3", "y": "2"}})),
            ("a[x][y][]=1", json!({"a": {"x": {"y": ["1"]}}})),
            ("a%5Bx%5D=1", json!({"a": {"x": "1"}})),
            ("a[][x]=1&a[][x]=2", json!({"a": [{"x": "2"}]})),
            ("a[b]=1&a=2", json!({"a": "2"})),
            ("a=2&a[b]=1", json!({"a": {"b": "1"}})),
            ("a[b]=1&a=2&a[c]=3", json!({"a": "2"})),
            ("a[]=1&a[b]=2", json!({"a": {"b": "2"}})),
            ("a[b]=2&a[]=1", json!({"a": ["1"]})),
            ("[a]=1&]=2&a]=3&a[=4", json!({"[a]": "1", "]": "2", "a]": "3", "a[": "4"})),
            ("a[b]c]=1&x[]]=2", json!({"a": {"b]c": "1"}, "x": {"]": "2"}})),
            ("&&&=1", json!({"": "1"})),
            ("a=%zz%4&b=%2", json!({"a": "%zz%4", "b": "%2"})),
            ("a+b=c+d%2Be%20f", json!({"a b": "c d+e f"})),
            ("%C5%BC=%C5%BC", json!({"ż": "ż"})),
        ] {
            assert_eq!(Value::from(&parse(query)), expected, "{query}");
        }
    }

    #[test]
    fn bad_queries_are_refused() {
        assert_eq!(Params::parse("a=%ff"), Err(ParamsError::InvalidUtf8));
        assert_eq!(Params::parse("%ff=a"), Err(ParamsError::InvalidUtf8));
        assert_eq!(ParamsError::InvalidUtf8.status(), 400);

        let longest = format!("a={}", "x".repeat(Params::MAX_QUERY_LENGTH - 2));
        assert!(Params::parse(&longest).is_ok());
        assert_eq!(Params::parse(&(longest + "x")), Err(ParamsError::TooLong));
        assert_eq!(ParamsError::TooLong.status(), 414);

        let deepest = format!("a{}", "[x]".repeat(Params::MAX_DEPTH));
        assert!(Params::parse(&deepest).is_ok());
        assert_eq!(Params::parse(&(deepest + "[x]")), Err(ParamsError::TooDeep));
        assert_eq!(ParamsError::TooDeep.status(), 400);
    }

    #[test]
    fn path_variables_override_the_query() {
        let pattern = super::super::PathPattern::new("/tenant/:tenant", "/ws").unwrap();
        let path = pattern.match_path("/tenant/acme/ws").unwrap().unwrap();
        let params = parse("x=1&tenant[a]=query").with_path(&path);
        assert_eq!(Value::from(&params), json!({"tenant": "acme", "x": "1"}));
    }

    #[test]
    fn getters_and_types() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Wanted {
            token: String,
            room: Option<BTreeMap<String, Vec<String>>>,
        }
        let params = parse("token=t&room[ids][]=1&room[ids][]=2&vsn=2.0.0");
        assert_eq!(params.text("token"), Some("t"));
        assert_eq!(params.text("room"), None);
        assert_eq!(params.get("room").unwrap().get("ids").unwrap().as_list().unwrap().len(), 2);
        assert_eq!(params.vsn(), Ok(Some("2.0.0")));
        let ids = BTreeMap::from([("ids".to_owned(), vec!["1".to_owned(), "2".to_owned()])]);
        let wanted = params.deserialize::<Wanted>().unwrap();
        assert_eq!(wanted, Wanted { token: "t".to_owned(), room: Some(ids) });
        assert!(parse("token[]=t").deserialize::<Wanted>().is_err());
        assert_eq!(serde_json::to_value(&params).unwrap(), Value::from(&params));
    }

    #[test]
    fn vsn_must_be_a_text() {
        assert_eq!(parse("VSN=2.0.0").vsn(), Ok(None));
        assert_eq!(parse("vsn=1.0.0&vsn=2.0.0").vsn(), Ok(Some("2.0.0")));
        assert_eq!(parse("vsn[]=2.0.0").vsn(), Err(VsnNotText));
        assert_eq!(parse("vsn[a]=2.0.0").vsn(), Err(VsnNotText));
    }

    proptest! {
        #[test]
        fn any_query_is_decoded_or_refused(query in "([ab]|[\\[\\]&=+%]|%[0-9a-f]{2}|\\PC){0,40}") {
            let expected = query.split('&').any(|pair| !pair.is_empty());
            if let Ok(params) = Params::parse(&query) {
                prop_assert_eq!(params.iter().next().is_some(), expected);
            }
        }

        #[test]
        fn one_text_is_the_one_among_all(query in "([ab]|[\\[\\]&=+%]|%[0-9a-f]{2}|\\PC){0,40}", name in "[ab]") {
            let one = Params::text_of(&query, &name).map(|text| text.map(Cow::into_owned));
            let all = Params::parse(&query).map(|params| params.text(&name).map(str::to_owned));
            prop_assert_eq!(one, all);
        }

        #[test]
        fn plain_queries_are_as_all_others(query in "([ab]|[\\]&=]){0,20}") {
            // The last parameter has another name, so that nothing but the way through the code changes.
            let mut decoded = parse(&format!("{query}&%7A"));
            decoded.0.remove("z");
            prop_assert_eq!(parse(&query), decoded);
        }

        #[test]
        fn plain_texts_survive(texts in proptest::collection::btree_map("[a-z]{1,4}", "\\PC{0,8}", 0..6)) {
            let encode = |text: &String| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
            let query: Vec<String> = texts.iter().map(|(k, v)| format!("{k}={}", encode(v))).collect();
            let params = parse(&query.join("&"));
            prop_assert_eq!(params.deserialize::<BTreeMap<String, String>>().unwrap(), texts);
        }
    }

    fn parse(query: &str) -> Params {
        Params::parse(query).unwrap()
    }
}
