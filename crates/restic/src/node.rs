//! What a tree says of a file, directory, link or special file.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lifeboat_files::{Attribute, FileTime, Kind, Metadata};
use serde::{Deserialize, Serialize};

use crate::{BlobId, TreeId, file_time, mode, name};

/// A file, directory, link or special file in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is called: one component of a path, never empty, `.` or `..`.
    pub name: OsString,
    /// What it is.
    pub kind: Kind,
    /// All that is not its content. `device` is 0 unless the file has other names.
    pub metadata: Metadata,
    /// The pieces of a regular file's content, in order; none for anything else.
    pub content: Vec<BlobId>,
    /// What is in a directory; nothing else has one, and every directory does.
    pub subtree: Option<TreeId>,
}

/// A node of a tree that could not be understood. The others of the tree are of use without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableNode {
    /// What it is called, as far as that can be said.
    pub name: OsString,
    /// What is wrong with it.
    pub problem: String,
    /// The pieces of content that it names, as far as that can be said: others may understand it, so whoever
    /// removes what nobody needs keeps them.
    pub content: Vec<BlobId>,
    /// The directory that it names.
    pub subtree: Option<TreeId>,
}

/// Whether `name` may stand in a tree: whoever puts it back must not be led elsewhere by it.
pub(crate) fn is_component(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    !matches!(bytes, b"" | b"." | b"..") && !bytes.contains(&b'/') && !bytes.contains(&0)
}

/// A node as restic 0.17 writes it, in the order of its members.
///
/// The time of the last access is that of the last change of the content, and the device is left out where it
/// does not tell hard links apart: both would change trees of which nothing else has changed. As with restic,
/// directories have no number of links, and pipes and sockets only one that says something.
#[derive(Serialize)]
pub(crate) struct Written<'node> {
    name: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    mode: u64,
    mtime: String,
    atime: String,
    ctime: String,
    uid: u32,
    gid: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'node str,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'node str,
    #[serde(skip_serializing_if = "is_zero")]
    inode: u64,
    #[serde(skip_serializing_if = "is_zero")]
    device_id: u64,
    #[serde(skip_serializing_if = "is_zero")]
    size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    links: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    linktarget: Cow<'node, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    linktarget_raw: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extended_attributes: Vec<WrittenAttribute<'node>>,
    #[serde(skip_serializing_if = "is_zero")]
    device: u64,
    content: Option<&'node [BlobId]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subtree: Option<&'node TreeId>,
}

#[derive(Serialize)]
struct WrittenAttribute<'node> {
    name: &'node str,
    value: String,
}

impl<'node> Written<'node> {
    /// What is to be written of `node`, or why that cannot be.
    pub(crate) fn new(node: &'node Node) -> Result<Self, &'static str> {
        if !is_component(&node.name) {
            return Err("its name is not one component of a path");
        }
        let Node { kind, metadata, .. } = node;
        let (linktarget, linktarget_raw) = link_target(kind);
        Ok(Self {
            name: name::quote(&node.name),
            r#type: type_of(kind),
            mode: mode::to_go(kind, metadata.permissions).into(),
            mtime: file_time::to_text(metadata.modified),
            atime: file_time::to_text(metadata.modified),
            ctime: file_time::to_text(metadata.changed),
            uid: metadata.user_id,
            gid: metadata.group_id,
            user: &metadata.user,
            group: &metadata.group,
            inode: metadata.inode,
            device_id: if has_other_names(node) { metadata.device } else { 0 },
            size: if *kind == Kind::File { metadata.size } else { 0 },
            links: links(node),
            linktarget,
            linktarget_raw,
            extended_attributes: attributes(metadata)?,
            device: device_of(kind),
            content: (*kind == Kind::File).then_some(&node.content),
            subtree: subtree(node)?,
        })
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn type_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "dir",
        Kind::Symlink { .. } => "symlink",
        Kind::BlockDevice { .. } => "dev",
        Kind::CharacterDevice { .. } => "chardev",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
    }
}

fn device_of(kind: &Kind) -> u64 {
    match kind {
        Kind::BlockDevice { device } | Kind::CharacterDevice { device } => *device,
        _ => 0,
    }
}

fn has_other_names(node: &Node) -> bool {
    node.kind != Kind::Directory && node.metadata.links > 1
}

fn links(node: &Node) -> u64 {
    match node.kind {
        Kind::Directory => 0,
        Kind::Fifo | Kind::Socket if !has_other_names(node) => 0,
        _ => node.metadata.links,
    }
}

/// The target as text, and as base64 of its bytes if the text is not all of it.
fn link_target(kind: &Kind) -> (Cow<'_, str>, Option<String>) {
    let Kind::Symlink { target } = kind else { return (Cow::Borrowed(""), None) };
    let raw = target.to_str().is_none().then(|| STANDARD.encode(target.as_bytes()));
    (target.to_string_lossy(), raw)
}

fn attributes(metadata: &Metadata) -> Result<Vec<WrittenAttribute<'_>>, &'static str> {
    let written = metadata.attributes.iter().map(|attribute| {
        let name = attribute.name.to_str()?;
        Some(WrittenAttribute { name, value: STANDARD.encode(&attribute.value) })
    });
    written.collect::<Option<_>>().ok_or("an extended attribute has a name that is no UTF-8")
}

fn subtree(node: &Node) -> Result<Option<&TreeId>, &'static str> {
    match (&node.kind, &node.subtree) {
        (Kind::Directory, None) => Err("a directory without a tree"),
        (Kind::Directory, Some(_)) | (_, None) => Ok(node.subtree.as_ref()),
        (_, Some(_)) => Err("a tree below something that is no directory"),
    }
}

/// A node as it may stand in a tree. Members that mean nothing here are not looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Read {
    name: String,
    r#type: String,
    mode: u32,
    mtime: String,
    ctime: String,
    uid: u32,
    gid: u32,
    user: String,
    group: String,
    inode: u64,
    device_id: u64,
    size: u64,
    links: u64,
    linktarget: String,
    linktarget_raw: Option<String>,
    extended_attributes: Option<Vec<ReadAttribute>>,
    device: u64,
    content: Option<Vec<BlobId>>,
    subtree: Option<TreeId>,
}

#[derive(Debug, Deserialize)]
struct ReadAttribute {
    name: String,
    #[serde(default)]
    value: Option<String>,
}

impl Read {
    /// The node that is meant.
    pub(crate) fn understand(self) -> Result<Node, UnreadableNode> {
        let name = name::unquote(&self.name);
        self.node(name.as_deref()).map_err(|problem| UnreadableNode {
            name: name.unwrap_or_else(|| self.name.into()),
            problem,
            content: self.content.unwrap_or_default(),
            subtree: self.subtree,
        })
    }

    fn node(&self, name: Option<&OsStr>) -> Result<Node, String> {
        let name = name.ok_or("its name is not quoted as names are")?;
        if !is_component(name) {
            return Err("its name is not one component of a path".to_owned());
        }
        let kind = self.kind()?;
        let (content, subtree) = (self.content(&kind)?, self.subtree(&kind)?);
        Ok(Node { name: name.to_owned(), metadata: self.metadata()?, kind, content, subtree })
    }

    fn kind(&self) -> Result<Kind, String> {
        let device = self.device;
        Ok(match &*self.r#type {
            "file" => Kind::File,
            "dir" => Kind::Directory,
            "symlink" => Kind::Symlink { target: self.link_target()? },
            "dev" => Kind::BlockDevice { device },
            "chardev" => Kind::CharacterDevice { device },
            "fifo" => Kind::Fifo,
            "socket" => Kind::Socket,
            other => return Err(format!("it is of the unknown type {other:?}")),
        })
    }

    fn link_target(&self) -> Result<OsString, &'static str> {
        match &self.linktarget_raw {
            None => Ok(self.linktarget.clone().into()),
            Some(raw) => {
                let bytes = STANDARD.decode(raw).or(Err("its link target is no base64"))?;
                Ok(OsString::from_vec(bytes))
            }
        }
    }

    fn content(&self, kind: &Kind) -> Result<Vec<BlobId>, &'static str> {
        match (kind, &self.content) {
            (Kind::File, None) => Err("a file without a list of its content"),
            (Kind::File, Some(content)) => Ok(content.clone()),
            _ => Ok(Vec::new()),
        }
    }

    fn subtree(&self, kind: &Kind) -> Result<Option<TreeId>, &'static str> {
        match (kind, &self.subtree) {
            (Kind::Directory, None) => Err("a directory without a tree"),
            (Kind::Directory, Some(subtree)) => Ok(Some(*subtree)),
            _ => Ok(None),
        }
    }

    fn metadata(&self) -> Result<Metadata, &'static str> {
        Ok(Metadata {
            permissions: mode::permissions(self.mode),
            user_id: self.uid,
            group_id: self.gid,
            user: self.user.clone(),
            group: self.group.clone(),
            modified: time(&self.mtime)?,
            changed: time(&self.ctime)?,
            size: self.size,
            inode: self.inode,
            device: self.device_id,
            links: self.links.max(1),
            attributes: self.attributes()?,
        })
    }

    fn attributes(&self) -> Result<Vec<Attribute>, &'static str> {
        let read = self.extended_attributes.iter().flatten().map(|attribute| {
            let value = STANDARD.decode(attribute.value.as_deref().unwrap_or_default()).ok()?;
            Some(Attribute { name: attribute.name.clone().into(), value })
        });
        read.collect::<Option<_>>().ok_or("the value of an extended attribute is no base64")
    }
}

fn time(text: &str) -> Result<FileTime, &'static str> {
    match text {
        "" => Ok(FileTime::default()),
        text => file_time::from_text(text).ok_or("one of its times is none"),
    }
}
