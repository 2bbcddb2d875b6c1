//! The one module with `unsafe`: SQLite's file handles, shared memory, snapshots and callbacks.
//!
//! Everything here is reached through a connection or a file that outlives the borrowed value, so
//! no pointer escapes the life of what it points into.

#![allow(unsafe_code, reason = "SQLite's C interface; each block says why it is sound")]

mod stubs;

pub(crate) use stubs::{add_collations, add_function, drop_modules};

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering, fence};

use rusqlite::{Connection, ffi};

/// The bytes of SQLite's `WalIndexHdr`, in the byte order of this machine.
pub(crate) const WAL_INDEX_HEADER: usize = 48;

/// How often the header of the WAL index is read before a writer that is at it counts as stuck.
const LOOKS: u32 = 1000;

/// A result code of SQLite other than `SQLITE_OK`.
pub(crate) type Code = c_int;

/// As an error of rusqlite, for its text.
pub(crate) fn code_error(code: Code) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
}

/// Has commits leave free pages where they are: with `auto_vacuum = full` they would move pages, and
/// the database would no longer be the one that was captured.
pub(crate) fn keep_free_pages(connection: &Connection) -> Result<(), Code> {
    unsafe extern "C" fn none(
        _: *mut c_void,
        _: *const c_char,
        _: c_uint,
        _: c_uint,
        _: c_uint,
    ) -> c_uint {
        0
    }
    // SAFETY: the handle is open; the callback has the type that is asked for and uses nothing.
    let code = unsafe {
        ffi::sqlite3_autovacuum_pages(connection.handle(), Some(none), ptr::null_mut(), None)
    };
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(code) }
}

/// Whether the library was built with `SQLITE_<option>`.
pub(crate) fn compile_option_used(option: &str) -> bool {
    let Ok(name) = CString::new(option) else { return false };
    // SAFETY: the name is a C string that outlives the call.
    unsafe { ffi::sqlite3_compileoption_used(name.as_ptr()) != 0 }
}

// Elsewhere SQLite seeks and then reads, which threads must not do on one descriptor.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
compile_error!(
    "pages are read by several threads, which SQLite's file layer allows with pread only"
);

/// A file that SQLite has open for a connection, read through SQLite's own file layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawFile<'a> {
    file: NonNull<ffi::sqlite3_file>,
    owner: PhantomData<&'a ()>,
}

// SAFETY: the only method used from several threads is `read_at`: on Linux and macOS, where SQLite
// defines USE_PREAD, it is one `pread` on a descriptor, and with memory mapping off (every
// connection of ours sets `mmap_size = 0`) it touches no other field but the last error number, an
// integer nobody here reads. The owner is borrowed for as long as the value lives.
unsafe impl Sync for RawFile<'_> {}
// SAFETY: as above.
unsafe impl Send for RawFile<'_> {}

impl RawFile<'_> {
    fn methods(&self) -> &ffi::sqlite3_io_methods {
        // SAFETY: an open file's method table is a constant of its VFS.
        unsafe { &*(*self.file.as_ptr()).pMethods }
    }

    /// Fills `buffer` from `offset`; what lies beyond the end of the file is zeroed.
    /// Returns whether all of it was there.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<bool, Code> {
        let (Ok(amount), Ok(offset), Some(read)) =
            (c_int::try_from(buffer.len()), i64::try_from(offset), self.methods().xRead)
        else {
            return Err(ffi::SQLITE_MISUSE);
        };
        if amount == 0 {
            return Ok(true);
        }
        // SAFETY: the buffer is valid for `amount` bytes and the file is open.
        match unsafe { read(self.file.as_ptr(), buffer.as_mut_ptr().cast(), amount, offset) } {
            ffi::SQLITE_OK => Ok(true),
            ffi::SQLITE_IOERR_SHORT_READ => Ok(false),
            code => Err(code),
        }
    }

    /// The size of the file in bytes.
    pub(crate) fn size(&self) -> Result<u64, Code> {
        let Some(file_size) = self.methods().xFileSize else { return Err(ffi::SQLITE_MISUSE) };
        let mut size = 0;
        // SAFETY: the file is open and `size` outlives the call.
        match unsafe { file_size(self.file.as_ptr(), &raw mut size) } {
            ffi::SQLITE_OK => Ok(size.cast_unsigned()),
            code => Err(code),
        }
    }

    /// Makes the content of the file durable.
    pub(crate) fn sync(&self) -> Result<(), Code> {
        let Some(sync) = self.methods().xSync else { return Err(ffi::SQLITE_MISUSE) };
        // SAFETY: the file is open.
        match unsafe { sync(self.file.as_ptr(), ffi::SQLITE_SYNC_NORMAL) } {
            ffi::SQLITE_OK => Ok(()),
            code => Err(code),
        }
    }

    /// The `nBackfill` counter of the WAL index and, read after it, its header.
    ///
    /// `None` where no memory is shared: a read-only user found no other process attached, and
    /// SQLite made an index of its own. `SQLITE_BUSY` where a writer is at it all the time, or was
    /// killed there: who begins the next transaction mends it.
    pub(crate) fn wal_index(&self) -> Result<Option<(u32, [u8; WAL_INDEX_HEADER])>, Code> {
        if self.methods().iVersion < 2 {
            return Ok(None);
        }
        let Some(map) = self.methods().xShmMap else { return Ok(None) };
        let mut region: *mut c_void = ptr::null_mut();
        // SAFETY: region 0 of 32 KiB is what every WAL connection maps first; `extend` is 0, so
        // nothing is written. The mapping belongs to the connection and lives as long as it.
        let code = unsafe { map(self.file.as_ptr(), 0, 32 * 1024, 0, &raw mut region) };
        match code {
            ffi::SQLITE_OK | ffi::SQLITE_READONLY if !region.is_null() => {}
            ffi::SQLITE_OK | ffi::SQLITE_READONLY | ffi::SQLITE_READONLY_CANTINIT => {
                return Ok(None);
            }
            code => return Err(code),
        }
        let word = |index: usize| {
            // SAFETY: the region is 32 KiB, aligned to a page, shared with other processes that
            // access its words atomically; index is below 8,192.
            unsafe { AtomicU32::from_ptr(region.cast::<u32>().add(index)) }.load(Ordering::Acquire)
        };
        let header = |first: usize| {
            let mut header = [0; WAL_INDEX_HEADER];
            for (index, bytes) in header.chunks_exact_mut(4).enumerate() {
                #[expect(clippy::host_endian_bytes, reason = "the WAL index is in native order")]
                bytes.copy_from_slice(&word(first + index).to_ne_bytes());
            }
            header
        };
        for _ in 0..LOOKS {
            let backfilled = word(96 / 4);
            fence(Ordering::SeqCst);
            // No lock keeps writers out. They write the second copy and then the first: where the
            // two are equal, neither is a mixture of two states.
            let first = header(0);
            fence(Ordering::SeqCst);
            if first == header(WAL_INDEX_HEADER / 4) {
                return Ok(Some((backfilled, first)));
            }
            std::thread::yield_now();
        }
        Err(ffi::SQLITE_BUSY)
    }
}

/// The main database file of a connection.
pub(crate) fn database_file(connection: &Connection) -> Result<RawFile<'_>, Code> {
    file_control(connection, ffi::SQLITE_FCNTL_FILE_POINTER)
}

/// The WAL of a connection in WAL mode (the rollback journal otherwise).
pub(crate) fn wal_file(connection: &Connection) -> Result<RawFile<'_>, Code> {
    file_control(connection, ffi::SQLITE_FCNTL_JOURNAL_POINTER)
}

fn file_control(connection: &Connection, operation: c_int) -> Result<RawFile<'_>, Code> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: both operations store a `sqlite3_file *` at the given address. The file is closed
    // with the connection, which the result borrows.
    let code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            operation,
            (&raw mut file).cast(),
        )
    };
    if code != ffi::SQLITE_OK {
        return Err(code);
    }
    let file = NonNull::new(file).ok_or(ffi::SQLITE_CANTOPEN)?;
    // SAFETY: a file pointer that is not null points to a sqlite3_file.
    let closed = unsafe { (*file.as_ptr()).pMethods.is_null() };
    if closed { Err(ffi::SQLITE_CANTOPEN) } else { Ok(RawFile { file, owner: PhantomData }) }
}

/// Begins the read transaction of a connection that has executed `BEGIN`, and returns the WAL-index
/// header that it works with. No statement is prepared, so no schema is read.
///
/// `None` where it reads the database file alone: not in WAL mode, or the WAL never had a frame.
/// Where the connection had its WAL open before, the transaction is under a read mark, never under
/// lock 0, unless the WAL is empty.
pub(crate) fn begin_snapshot(
    connection: &Connection,
) -> Result<Option<[u8; WAL_INDEX_HEADER]>, Code> {
    let mut snapshot: *mut ffi::sqlite3_snapshot = ptr::null_mut();
    // SAFETY: the handle is open and the address outlives the call.
    let code = unsafe {
        ffi::sqlite3_snapshot_get(connection.handle(), c"main".as_ptr(), &raw mut snapshot)
    };
    match code {
        ffi::SQLITE_OK if !snapshot.is_null() => {}
        // The answer for a transaction that has no snapshot; it stays open.
        ffi::SQLITE_OK | ffi::SQLITE_ERROR => return Ok(None),
        code => return Err(code),
    }
    // SAFETY: sqlite3_snapshot is an opaque struct of exactly these 48 bytes.
    let header = unsafe { *snapshot.cast::<[u8; WAL_INDEX_HEADER]>() };
    // SAFETY: it came from sqlite3_snapshot_get and is freed once.
    unsafe { ffi::sqlite3_snapshot_free(snapshot) };
    Ok(Some(header))
}

/// Moves frames of the WAL into the database file as far as no reader needs what is there now. Does
/// not wait: `SQLITE_BUSY` where another checkpoint is at work. The connection must have read
/// from the database.
pub(crate) fn checkpoint_passive(connection: &Connection) -> Result<(), Code> {
    // SAFETY: the handle is open, the name is a C string, and no results are asked for.
    let code = unsafe {
        ffi::sqlite3_wal_checkpoint_v2(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_CHECKPOINT_PASSIVE,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(code) }
}

/// A file opened by SQLite's file layer without a connection, under the locking rules of every
/// connection of this process.
#[derive(Debug)]
pub(crate) struct VfsFile {
    memory: Vec<u64>,
    name: ffi::sqlite3_filename,
    locked: bool,
}

// SAFETY: the name is an allocation that only this value uses; the file has no thread affinity.
unsafe impl Send for VfsFile {}

impl VfsFile {
    /// Opens a file for reading; never creates one.
    pub(crate) fn open(path: &Path) -> Result<Self, Code> {
        Self::open_with(path, ffi::SQLITE_OPEN_READONLY | ffi::SQLITE_OPEN_MAIN_DB)
    }

    /// Opens a file so that it can be locked exclusively; never creates one.
    pub(crate) fn open_for_locking(path: &Path) -> Result<Self, Code> {
        Self::open_with(path, ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_MAIN_DB)
    }

    fn open_with(path: &Path, flags: c_int) -> Result<Self, Code> {
        // The file layer itself follows no link; SQLite resolves them before it gets here.
        let path = path.canonicalize().map_err(|_| ffi::SQLITE_CANTOPEN)?;
        let path =
            CString::new(path.into_os_string().into_vec()).map_err(|_| ffi::SQLITE_CANTOPEN)?;
        // SAFETY: the default VFS is registered for the life of the process.
        let vfs = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        if vfs.is_null() {
            return Err(ffi::SQLITE_CANTOPEN);
        }
        // SAFETY: the names are C strings and there are no URI parameters. The journal and WAL
        // names are not used for reading the file itself.
        let name = unsafe {
            ffi::sqlite3_create_filename(
                path.as_ptr(),
                c"".as_ptr(),
                c"".as_ptr(),
                0,
                ptr::null_mut::<*const c_char>(),
            )
        };
        if name.is_null() {
            return Err(ffi::SQLITE_NOMEM);
        }
        // SAFETY: the VFS says how large its file structure is; u64 words align it.
        let words = unsafe { (*vfs).szOsFile }.unsigned_abs() as usize / 8 + 1;
        let mut file = Self { memory: vec![0; words], name, locked: false };
        // SAFETY: `memory` is large enough for the file structure, lives on the heap and is not
        // moved or resized until `Drop` has closed the file; `name` lives as long.
        let code = unsafe {
            match (*vfs).xOpen {
                Some(open) => open(vfs, name, file.pointer(), flags, ptr::null_mut()),
                None => ffi::SQLITE_CANTOPEN,
            }
        };
        if code == ffi::SQLITE_OK { Ok(file) } else { Err(code) }
    }

    fn pointer(&mut self) -> *mut ffi::sqlite3_file {
        self.memory.as_mut_ptr().cast()
    }

    /// The file, for reading.
    pub(crate) fn raw(&mut self) -> RawFile<'_> {
        // SAFETY: the pointer comes from a Vec and is not null.
        RawFile { file: unsafe { NonNull::new_unchecked(self.pointer()) }, owner: PhantomData }
    }

    /// Takes a SHARED lock, which keeps every writer of a rollback-journal database from changing
    /// the file, and the last user of a WAL from removing it, until the value is dropped.
    pub(crate) fn lock_shared(&mut self) -> Result<(), Code> {
        self.lock(ffi::SQLITE_LOCK_SHARED)
    }

    /// Takes an EXCLUSIVE lock: no connection of any process is reading or writing, and an idle
    /// one in WAL mode is noticed too. Fails with `SQLITE_BUSY` without waiting.
    pub(crate) fn lock_exclusive(&mut self) -> Result<(), Code> {
        self.lock(ffi::SQLITE_LOCK_SHARED)?;
        self.lock(ffi::SQLITE_LOCK_RESERVED)?;
        self.lock(ffi::SQLITE_LOCK_EXCLUSIVE)
    }

    fn lock(&mut self, level: c_int) -> Result<(), Code> {
        let raw = self.raw();
        let Some(lock) = raw.methods().xLock else { return Err(ffi::SQLITE_MISUSE) };
        // SAFETY: the file is open.
        match unsafe { lock(raw.file.as_ptr(), level) } {
            ffi::SQLITE_OK => {
                self.locked = true;
                Ok(())
            }
            code => Err(code),
        }
    }
}

impl Drop for VfsFile {
    fn drop(&mut self) {
        let file = self.pointer();
        // SAFETY: a file that failed to open has no method table; an open one is closed once, and
        // its name is freed after it.
        unsafe {
            if let Some(methods) = (*file).pMethods.as_ref() {
                if self.locked
                    && let Some(unlock) = methods.xUnlock
                {
                    unlock(file, ffi::SQLITE_LOCK_NONE);
                }
                if let Some(close) = methods.xClose {
                    close(file);
                }
            }
            ffi::sqlite3_free_filename(self.name);
        }
    }
}
