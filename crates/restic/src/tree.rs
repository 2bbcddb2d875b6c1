//! Directories: JSON of restic's, named by its SHA-256.

use std::ffi::{OsStr, OsString};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::node::{Read, Written};
use crate::{Error, Node, Result, TreeId, UnreadableNode, go_json};

/// What is in a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// In the order of the bytes of their names; no name twice.
    pub nodes: Vec<Node>,
    /// What could not be understood of it: of a type not known here, or with a name that leads elsewhere.
    pub unreadable: Vec<UnreadableNode>,
}

impl Tree {
    /// The bytes of a directory with these nodes; their SHA-256 is its id. Equal nodes make equal bytes, and
    /// the same that restic would write.
    ///
    /// [`Error::Corrupt`] if the nodes are not in the order of their names, or one cannot be written.
    pub fn encode(nodes: &[Node]) -> Result<Vec<u8>> {
        let mut encoder = TreeEncoder::new();
        nodes.iter().try_for_each(|node| encoder.push(node))?;
        Ok(encoder.finish())
    }

    /// The directory in the blob `id`, of which these are the plain bytes.
    ///
    /// A node that cannot be understood does not hide the others. [`Error::Corrupt`] if the bytes do not have
    /// that id, are no tree, or a name is in it twice or in the wrong place.
    pub fn decode(id: TreeId, bytes: &[u8]) -> Result<Self> {
        let corrupt = |problem| Error::corrupt(format!("tree {id}"), problem);
        let found = TreeId::of(bytes);
        if found != id {
            return Err(corrupt(format!("its SHA-256 is {found}")));
        }
        let tree = Self::parse(bytes).map_err(|error| corrupt(format!("not a tree: {error}")))?;
        match out_of_order(&tree.nodes) {
            Some(name) => Err(corrupt(disorder(name))),
            None => Ok(tree),
        }
    }

    /// The node of this name.
    #[must_use]
    pub fn find(&self, name: &OsStr) -> Option<&Node> {
        let place = self.nodes.binary_search_by(|node| (*node.name).cmp(name)).ok()?;
        self.nodes.get(place)
    }

    fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        let mut tree = Self::default();
        match serde_json::from_slice::<Document<Read>>(bytes) {
            Ok(document) => document.nodes.into_iter().for_each(|node| tree.add(node)),
            // Some node has a member of a type of its own: the others are read one by one.
            Err(_) => {
                let document: Document<serde_json::Value> = serde_json::from_slice(bytes)?;
                document.nodes.iter().for_each(|node| tree.add_value(node));
            }
        }
        Ok(tree)
    }

    fn add(&mut self, node: Read) {
        match node.understand() {
            Ok(node) => self.nodes.push(node),
            Err(node) => self.unreadable.push(node),
        }
    }

    fn add_value(&mut self, node: &serde_json::Value) {
        match Read::deserialize(node) {
            Ok(node) => self.add(node),
            Err(error) => self.unreadable.push(UnreadableNode {
                name: member::<String>(node, "name").unwrap_or_default().into(),
                problem: error.to_string(),
                content: member(node, "content").unwrap_or_default(),
                subtree: member(node, "subtree"),
            }),
        }
    }
}

fn member<T: DeserializeOwned>(node: &serde_json::Value, name: &str) -> Option<T> {
    T::deserialize(node.get(name)?).ok()
}

#[derive(Deserialize)]
struct Document<N> {
    nodes: Vec<N>,
}

/// A directory that is made node by node: of a large one, the bytes are all that is kept.
#[derive(Debug)]
pub(crate) struct TreeEncoder {
    bytes: Vec<u8>,
    last: Option<OsString>,
}

impl TreeEncoder {
    pub(crate) fn new() -> Self {
        Self { bytes: b"{\"nodes\":[".to_vec(), last: None }
    }

    /// Adds the next node. [`Error::Corrupt`] if its name does not come after the last one, or it cannot be
    /// written.
    pub(crate) fn push(&mut self, node: &Node) -> Result<()> {
        if self.last.as_ref().is_some_and(|last| *last >= node.name) {
            return Err(Error::corrupt("a tree to be written", disorder(&node.name)));
        }
        if self.last.is_some() {
            self.bytes.push(b',');
        }
        append(&mut self.bytes, node)?;
        self.last = Some(node.name.clone());
        Ok(())
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// The bytes of the directory.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(b"]}\n");
        self.bytes
    }
}

fn append(bytes: &mut Vec<u8>, node: &Node) -> Result<()> {
    let object = || format!("node {:?} to be written", node.name);
    let written = Written::new(node).map_err(|problem| Error::corrupt(object(), problem))?;
    go_json::append(bytes, &written).map_err(|error| Error::corrupt(object(), error.to_string()))
}

/// The first name that does not come after the one before it.
fn out_of_order(nodes: &[Node]) -> Option<&OsStr> {
    let pair = nodes.windows(2).find(|pair| pair[0].name >= pair[1].name)?;
    Some(&pair[1].name)
}

fn disorder(name: &OsStr) -> String {
    format!("{name:?} is in it twice or in the wrong place")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    use lifeboat_files::{Attribute, FileTime, Kind, Metadata};
    use proptest::prelude::*;

    use super::*;
    use crate::BlobId;

    /// As restic 0.14 wrote it.
    const WRITTEN: &str = concat!(
        r#"{"nodes":[{"name":"a\\xff\u0026","type":"file","mode":420,"mtime":"2024-05-06T07:08:09.01Z","#,
        r#""atime":"2024-05-06T07:08:09.01Z","ctime":"2024-05-06T07:08:10Z","uid":0,"gid":0,"user":"root","#,
        r#""group":"root","inode":7,"device_id":3,"size":3,"links":2,"#,
        r#""extended_attributes":[{"name":"user.x","value":"AP8="}],"content":"#,
        r#"["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]},"#,
        r#"{"name":"d","type":"dir","mode":2147484141,"mtime":"1970-01-01T00:00:00Z","#,
        r#""atime":"1970-01-01T00:00:00Z","ctime":"1970-01-01T00:00:00Z","uid":1,"gid":2,"inode":8,"#,
        r#""content":null,"subtree":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},"#,
        r#"{"name":"e","type":"file","mode":256,"mtime":"1970-01-01T00:00:00Z","#,
        r#""atime":"1970-01-01T00:00:00Z","ctime":"1970-01-01T00:00:00Z","uid":1,"gid":2,"inode":9,"#,
        r#""links":1,"content":[]}]}"#,
        "\n"
    );

    fn decode(json: &str) -> Result<Tree> {
        Tree::decode(TreeId::of(json.as_bytes()), json.as_bytes())
    }

    #[test]
    fn reads_and_writes_the_same_bytes() {
        let tree = decode(WRITTEN).unwrap();
        assert_eq!(tree.unreadable, []);
        let file = tree.find(OsStr::from_bytes(b"a\xff&")).unwrap();
        assert_eq!(file.content, [BlobId::of(b"abc")]);
        assert_eq!((file.metadata.links, file.metadata.device, file.metadata.size), (2, 3, 3));
        assert_eq!(file.metadata.attributes[0].value, [0, 255]);
        assert_eq!(tree.nodes[1].subtree, Some(TreeId::of(b"abc")));
        assert_eq!(tree.find(OsStr::new("b")), None);
        let bytes = Tree::encode(&tree.nodes).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), WRITTEN);
        assert_eq!(Tree::encode(&[]).unwrap(), b"{\"nodes\":[]}\n");
    }

    #[test]
    fn one_bad_node_does_not_hide_the_others() {
        let node = |name: &str, rest: &str| format!(r#"{{"name":"{name}","type":{rest}}}"#);
        for (bad, name, problem) in [
            (node("b", r#""irregular""#), "b", "unknown type"),
            (node("b", r#""file""#), "b", "without a list of its content"),
            (node("b", r#""dir""#), "b", "directory without a tree"),
            (node("..", r#""fifo""#), "..", "not one component"),
            (node("x/b", r#""fifo""#), "x/b", "not one component"),
            (node("", r#""fifo""#), "", "not one component"),
            (node("b\\\\x00", r#""fifo""#), "b\0", "not one component"),
            (node("b\\\\x", r#""fifo""#), "b\\x", "not quoted"),
            (node("b", r#""fifo","mtime":"noon""#), "b", "times"),
            (node("b", r#""symlink","linktarget_raw":"?""#), "b", "base64"),
            (node("b", r#""file","content":["12"]"#), "b", "hex digits"),
            (node("b", r#""fifo","uid":-1"#), "b", "-1"),
            (node("b", r#"7"#), "b", "integer"),
            ("7".to_owned(), "", "integer"),
        ] {
            let good = node("a", r#""fifo""#);
            let tree = decode(&format!(r#"{{"nodes":[{good},{bad}]}}"#)).unwrap();
            assert_eq!(tree.nodes.len(), 1, "{bad}");
            assert_eq!(tree.unreadable[0].name, name);
            assert!(tree.unreadable[0].problem.contains(problem), "{:?}", tree.unreadable);
        }
    }

    #[test]
    fn what_a_bad_node_needs_is_known() {
        let blob = BlobId::of(b"abc");
        for member in [r#""type":"irregular""#, r#""type":7"#, r#""type":"file","name":"..""#] {
            let json =
                format!(r#"{{"nodes":[{{{member},"content":["{blob}"],"subtree":"{blob}"}}]}}"#);
            let tree = decode(&json).unwrap();
            assert_eq!(tree.unreadable[0].content, [blob]);
            assert_eq!(tree.unreadable[0].subtree, Some(blob.into()));
        }
    }

    #[test]
    fn refuses_what_is_no_tree() {
        let node = |name: &str| format!(r#"{{"name":"{name}","type":"fifo"}}"#);
        for (json, problem) in [
            (String::new(), "not a tree"),
            ("[]".to_owned(), "not a tree"),
            (r#"{"nodes":null}"#.to_owned(), "not a tree"),
            (WRITTEN[..WRITTEN.len() - 3].to_owned(), "not a tree"),
            (format!(r#"{{"nodes":[{},{}]}}"#, node("b"), node("a")), "wrong place"),
            (format!(r#"{{"nodes":[{},{}]}}"#, node("a"), node("a")), "twice"),
        ] {
            let error = decode(&json).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let error = Tree::decode(TreeId::of(b"other"), WRITTEN.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(&TreeId::of(b"other").to_string()), "{error}");
        assert!(error.contains(&TreeId::of(WRITTEN.as_bytes()).to_string()), "{error}");
    }

    #[test]
    fn writes_no_tree_that_would_not_be_read() {
        let good = decode(WRITTEN).unwrap().nodes;
        let with = |change: fn(&mut Vec<Node>)| {
            let mut nodes = good.clone();
            change(&mut nodes);
            Tree::encode(&nodes).unwrap_err().to_string()
        };
        assert!(with(|nodes| nodes.swap(0, 1)).contains("wrong place"));
        assert!(with(|nodes| nodes[1].name = nodes[0].name.clone()).contains("twice"));
        assert!(with(|nodes| nodes[2].name = "x/y".into()).contains("component"));
        assert!(with(|nodes| nodes[1].subtree = None).contains("without a tree"));
        let bad = |nodes: &mut Vec<Node>| {
            nodes[0].metadata.attributes[0].name = OsString::from_vec(b"user.\xff".into());
        };
        assert!(with(bad).contains("UTF-8"));
    }

    fn bytes(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), length)
    }

    fn kind() -> impl Strategy<Value = Kind> {
        let target =
            bytes(1..20).prop_map(|target| Kind::Symlink { target: OsString::from_vec(target) });
        prop_oneof![
            Just(Kind::File),
            Just(Kind::Directory),
            target,
            any::<u64>().prop_map(|device| Kind::BlockDevice { device }),
            any::<u64>().prop_map(|device| Kind::CharacterDevice { device }),
            Just(Kind::Fifo),
            Just(Kind::Socket),
        ]
    }

    prop_compose! {
        fn time()(seconds in -62_000_000_000i64..253_000_000_000, nanoseconds in 0u32..1_000_000_000) -> FileTime {
            FileTime { seconds, nanoseconds }
        }
    }

    prop_compose! {
        fn metadata()(
            permissions in 0u32..0o10000,
            (user_id, group_id, inode, size, device) in any::<(u32, u32, u64, u64, u64)>(),
            (user, group) in any::<(String, String)>(),
            (modified, changed) in (time(), time()),
            links in 1u64..4,
            attributes in proptest::collection::btree_map("[a-z.<]{1,8}", bytes(0..9), 0..3),
        ) -> Metadata {
            let attributes = attributes.into_iter();
            let attributes = attributes.map(|(name, value)| Attribute { name: name.into(), value });
            Metadata {
                permissions, user_id, group_id, user, group, modified, changed, size, inode, device, links,
                attributes: attributes.collect(),
            }
        }
    }

    prop_compose! {
        fn node()(
            name in bytes(1..12),
            kind in kind(),
            metadata in metadata(),
            content in proptest::collection::vec(any::<[u8; 32]>(), 0..3),
        ) -> Node {
            let directory = kind == Kind::Directory;
            let mut node = Node {
                name: OsString::from_vec(name), metadata, content: Vec::new(),
                subtree: directory.then(|| TreeId::of(b"")), kind,
            };
            if node.kind == Kind::File {
                node.content = content.into_iter().map(BlobId::from).collect();
            } else {
                node.metadata.size = 0;
            }
            if directory { node.metadata.links = 1; }
            if node.metadata.links == 1 { node.metadata.device = 0; }
            node
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_node_survives(nodes in proptest::collection::vec(node(), 0..5)) {
            let mut nodes = nodes;
            nodes.retain(|node| crate::node::is_component(&node.name));
            nodes.sort_by(|a, b| a.name.cmp(&b.name));
            nodes.dedup_by(|a, b| a.name == b.name);
            let bytes = Tree::encode(&nodes).unwrap();
            let tree = Tree::decode(TreeId::of(&bytes), &bytes).unwrap();
            prop_assert_eq!(&tree.nodes, &nodes);
            prop_assert_eq!(Tree::encode(&tree.nodes).unwrap(), bytes);
        }

        #[test]
        fn changed_bytes_never_panic(at in 0..WRITTEN.len(), byte in any::<u8>()) {
            let mut json = WRITTEN.as_bytes().to_vec();
            json[at] = byte;
            if let Ok(tree) = Tree::decode(TreeId::of(&json), &json) {
                prop_assert_eq!(tree.nodes.len() + tree.unreadable.len(), 3);
            }
        }
    }
}
