//! Stand-ins for what an application adds to SQLite, so that a statement can be prepared that
//! needs their names. What such a statement computes with them means nothing.

use std::cmp::Ordering;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

use rusqlite::{Connection, ffi};

/// Makes a connection forget every module of virtual tables.
pub(crate) fn drop_modules(connection: &Connection) {
    // SAFETY: the handle is open; a null list keeps no module. It cannot fail on an open handle.
    unsafe { ffi::sqlite3_drop_modules(connection.handle(), ptr::null_mut()) };
}

/// Has every collation that the connection does not know compare bytes.
pub(crate) fn add_collations(connection: &Connection) {
    // SAFETY: the handle is open and the callback has the type that is asked for.
    unsafe {
        ffi::sqlite3_collation_needed(connection.handle(), ptr::null_mut(), Some(add_collation));
    }
}

/// Adds a function of any number of arguments that gives NULL.
pub(crate) fn add_function(connection: &Connection, name: &str) {
    let Ok(name) = CString::new(name) else { return };
    let flags = ffi::SQLITE_UTF8 | ffi::SQLITE_DETERMINISTIC | ffi::SQLITE_INNOCUOUS;
    // SAFETY: the handle is open, SQLite copies the name, and the callback has the right type.
    unsafe {
        ffi::sqlite3_create_function_v2(
            connection.handle(),
            name.as_ptr(),
            -1,
            flags,
            ptr::null_mut(),
            Some(give_null),
            None,
            None,
            None,
        );
    }
}

unsafe extern "C" fn add_collation(
    _: *mut c_void,
    database: *mut ffi::sqlite3,
    encoding: c_int,
    name: *const c_char,
) {
    // SAFETY: SQLite passes the handle it is working for and a C string, which it copies.
    unsafe {
        ffi::sqlite3_create_collation_v2(
            database,
            name,
            encoding,
            ptr::null_mut(),
            Some(compare),
            None,
        );
    }
}

unsafe extern "C" fn compare(
    _: *mut c_void,
    left_length: c_int,
    left: *const c_void,
    right_length: c_int,
    right: *const c_void,
) -> c_int {
    // SAFETY: SQLite passes two texts with their lengths in bytes.
    let order = unsafe { text(left, left_length).cmp(text(right, right_length)) };
    match order {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}

/// # Safety
///
/// `start` points to `length` bytes that live longer than the result, or `length` is not positive.
unsafe fn text<'a>(start: *const c_void, length: c_int) -> &'a [u8] {
    match usize::try_from(length) {
        // SAFETY: as the caller promises.
        Ok(length) if length > 0 => unsafe { std::slice::from_raw_parts(start.cast(), length) },
        _ => &[],
    }
}

/// A function that sets no result gives NULL.
unsafe extern "C" fn give_null(
    _: *mut ffi::sqlite3_context,
    _: c_int,
    _: *mut *mut ffi::sqlite3_value,
) {
}
