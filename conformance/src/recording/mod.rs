//! Recordings: reading, writing, and what a line can be.

mod entry;
mod payload;
mod raw;

use std::io::{self, BufRead as _, BufReader, Write};
use std::path::{Path, PathBuf};

pub use entry::{
    App, Conn, Ctl, DirectHttp, Direction, Entry, Event, Fin, Frame, Item, Meta, PartialFrame, Request,
    Response, Transport, Wire,
};
pub use payload::{ABBREVIATE_ABOVE, Abbreviated, Payload};
pub(crate) use payload::{pad, to_base64};
use raw::Raw;

/// A recording: a name and its lines.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recording {
    /// File name without `.jsonl`, for example `ws_leave.v2`.
    pub name: String,
    /// The lines in the order in which things were seen; the first is [`Item::Meta`].
    pub entries: Vec<Entry>,
}

/// A recording that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not JSON, or a field has a wrong type.
    #[error("{name}, line {line}")]
    Line {
        /// The recording.
        name: String,
        /// Number of the line, counted from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Recording {
    /// Reads a `.jsonl` file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref();
        let io = |source| ReadError::Io { path: path.to_owned(), source };
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let mut lines = Vec::new();
        for line in BufReader::new(std::fs::File::open(path).map_err(io)?).lines() {
            lines.push(line.map_err(io)?);
        }
        Self::parse(name, lines.iter().map(String::as_str))
    }

    /// Reads the lines of a recording; empty ones are skipped, unknown kinds and fields are no error.
    pub fn parse<'a>(
        name: impl Into<String>,
        lines: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ReadError> {
        let name = name.into();
        let mut entries = Vec::new();
        for (index, text) in lines.into_iter().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
            let error = |source| ReadError::Line { name: name.clone(), line: index + 1, source };
            let raw: Raw = serde_json::from_str(text).map_err(error)?;
            entries.push(raw.into_entry(text).map_err(error)?);
        }
        Ok(Self { name, entries })
    }

    /// Writes the lines in the format they are read in.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        self.entries.iter().try_for_each(|entry| write_entry(entry, &mut out))
    }

    /// The first line, when it is one.
    pub fn meta(&self) -> Option<&Meta> {
        match &self.entries.first()?.item {
            Item::Meta(meta) => Some(meta),
            _ => None,
        }
    }

    /// Whether the scenario stops the server, which a replay cannot do by talking to it.
    pub fn stops_server(&self) -> bool {
        self.entries.iter().any(|entry| matches!(&entry.item, Item::Note(text) if text == "SIGTERM"))
    }
}

/// Writes one line.
pub(crate) fn write_entry(entry: &Entry, out: &mut impl Write) -> io::Result<()> {
    match (Raw::from_entry(entry), &entry.item) {
        (Some(raw), _) => serde_json::to_writer(&mut *out, &raw)?,
        (None, Item::Other(value)) => serde_json::to_writer(&mut *out, value)?,
        (None, _) => {}
    }
    out.write_all(b"\n")
}

/// A recording that comes with this crate.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Bundled {
    /// Its name, for example `ws_leave.v2`.
    pub name: &'static str,
    /// Its lines.
    pub text: &'static str,
}

impl Bundled {
    /// The recording as a type.
    pub fn parse(&self) -> Result<Recording, ReadError> {
        Recording::parse(self.name, self.text.lines())
    }
}

/// The recordings of a real Phoenix 1.8.12 that come with this crate, by name.
pub fn bundled() -> Vec<Bundled> {
    static FOLDER: include_dir::Dir<'_> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/recordings");
    let mut all: Vec<Bundled> = FOLDER
        .files()
        .filter_map(|file| {
            let name = file.path().to_str()?.strip_suffix(".jsonl")?;
            Some(Bundled { name, text: file.contents_utf8()? })
        })
        .collect();
    all.sort_by_key(|recording| recording.name);
    all
}
