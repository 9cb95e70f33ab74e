//! Phoenix long polling for every framework.
