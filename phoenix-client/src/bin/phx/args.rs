//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Talk to a Phoenix server: join channels, push events and watch what comes.
///
/// Commands are read from the prompt, or from a pipe, where each waits for the end of the one before. Try "help".
#[derive(Debug, Parser)]
#[command(name = "phx", version)]
pub(crate) struct Args {
    /// Where the socket is mounted, without the transport: ws://localhost:4000/socket
    pub(crate) url: String,
    /// Topics to join at once, with parameters behind a space: 'room:lobby {"name":"ann"}'
    pub(crate) topics: Vec<String>,
    /// A connection parameter
    #[arg(short, long = "param", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) params: Vec<(String, String)>,
    /// The token that authenticates the connection
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// The protocol version
    #[arg(long, value_enum, default_value = "2")]
    pub(crate) vsn: Version,
    /// Use long polling instead of a WebSocket
    #[arg(long)]
    pub(crate) long_poll: bool,
    /// How long to wait for replies
    #[arg(long, value_name = "MS")]
    pub(crate) timeout: Option<u64>,
    /// Print one JSON object per line, for scripts
    #[arg(long)]
    pub(crate) json: bool,
    /// Record what goes over the wire, in the format of the conformance recordings
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

/// A version of the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Version {
    /// JSON objects
    #[value(name = "1")]
    V1,
    /// JSON arrays and binary frames
    #[value(name = "2")]
    V2,
}

impl Version {
    /// As it stands in the query.
    pub(crate) fn vsn(self) -> &'static str {
        match self {
            Self::V1 => "1.0.0",
            Self::V2 => "2.0.0",
        }
    }
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE expected")?;
    Ok((key.to_owned(), value.to_owned()))
}
