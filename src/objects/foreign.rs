//! What a source holds: objects that lie elsewhere, and what lies among them and is none. Data only.

/// One object of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Its name below the folder.
    pub key: String,
    /// Where it is, as a URL without credentials.
    pub address: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was written, by the clock of the store, in milliseconds since the Unix epoch.
    pub modified_ms: i64,
    /// What the store recognises its content by, without quotes. For local files this is made of
    /// inode, modification time and size: it changes when a file is copied.
    pub e_tag: Option<String>,
}

/// Why something in a source is not taken for an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOutKind {
    /// It has no content of its own: a pipe, a socket, a device, a symbolic link that leads nowhere
    /// or in a circle, the mark of a folder in a cloud store.
    Special,
    /// No path can have its name: it is not UTF-8, or too long.
    Name,
    /// It could not be looked at. Of a folder, that is all that lies below it.
    Unreadable,
}

/// Something in a source that is not taken for an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name below the folder, with U+FFFD for what is not UTF-8.
    pub key: String,
    /// Why it is not taken.
    pub kind: LeftOutKind,
    /// Where it lies and why it is not taken, in words for people.
    pub reason: String,
}

/// What a listing of a source comes upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An object, which can be imported.
    Object(Foreign),
    /// What is none, or cannot be had.
    LeftOut(LeftOut),
}
