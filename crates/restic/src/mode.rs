//! File modes as restic writes them: Go's `os.FileMode`, which has bits of its own for all but the permissions.

use lifeboat_files::Kind;

const DIRECTORY: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const FIFO: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const SET_USER_ID: u32 = 1 << 23;
const SET_GROUP_ID: u32 = 1 << 22;
const CHARACTER_DEVICE: u32 = 1 << 21;
const STICKY: u32 = 1 << 20;

/// What lies above the nine permission bits: Go's bit and that of `st_mode`.
const SPECIAL: [(u32, u32); 3] = [(SET_USER_ID, 0o4000), (SET_GROUP_ID, 0o2000), (STICKY, 0o1000)];

/// Go's mode of something of `kind` with these lower 12 bits of `st_mode`.
pub(crate) fn to_go(kind: &Kind, permissions: u32) -> u32 {
    let kind = match kind {
        Kind::File => 0,
        Kind::Directory => DIRECTORY,
        Kind::Symlink { .. } => SYMLINK,
        Kind::BlockDevice { .. } => DEVICE,
        Kind::CharacterDevice { .. } => DEVICE | CHARACTER_DEVICE,
        Kind::Fifo => FIFO,
        Kind::Socket => SOCKET,
    };
    let special = SPECIAL.iter().filter(|(_, unix)| permissions & unix != 0);
    special.fold(kind | permissions & 0o777, |mode, (go, _)| mode | go)
}

/// The lower 12 bits of `st_mode`. What it is the node says in words; the bits for that are not looked at.
pub(crate) fn permissions(mode: u32) -> u32 {
    let special = SPECIAL.iter().filter(|(go, _)| mode & go != 0);
    special.fold(mode & 0o777, |permissions, (_, unix)| permissions | unix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_bits_of_go() {
        let target = "t".into();
        for (kind, permissions_there, mode) in [
            (Kind::File, 0o644, 0o644),
            (Kind::File, 0o4755, 8_389_101),
            (Kind::File, 0o2755, 4_194_797),
            (Kind::Directory, 0o755, 2_147_484_141),
            (Kind::Directory, 0o1777, 2_148_532_735),
            (Kind::Symlink { target }, 0o777, 134_218_239),
            (Kind::BlockDevice { device: 1 }, 0o660, 67_109_296),
            (Kind::CharacterDevice { device: 1 }, 0o666, 69_206_454),
            (Kind::Fifo, 0o600, 33_554_816),
            (Kind::Socket, 0o7755, 16_777_216 + 8_388_608 + 4_194_304 + 1_048_576 + 0o755),
        ] {
            assert_eq!(to_go(&kind, permissions_there), mode, "{kind:?}");
            assert_eq!(permissions(mode), permissions_there);
        }
    }
}
