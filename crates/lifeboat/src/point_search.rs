//! Looks for the point that a user means, and goes on where a point turns out to be damaged.

use lifeboat_repository::{
    DatabaseAddress, LineageAddress, LineageListing, Point, points as points_of,
};

use crate::databases_meant::database_meant;
use crate::destination::FormerFile;
use crate::error::chain;
use crate::fill::measure;
use crate::point_choice::{newest, newest_at, with_txid};
use crate::points::{lineage_meant, listings, newest_end};
use crate::vouch::{former_file, vouch_for};
use crate::way::Way;
use crate::{
    Detour, Error, FoundPoint, Note, OpenRepository, PointChoice, PointSelection, Progress, Result,
};

/// A point that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedPoint {
    /// Which.
    pub found: FoundPoint,
    /// Why it cannot be restored.
    pub reason: String,
}

/// A point, and a way to it.
#[derive(Debug)]
pub(crate) struct SelectedPoint {
    pub(crate) found: FoundPoint,
    pub(crate) way: Way,
}

/// The lineages of a database, and what became of the points that were tried.
#[derive(Debug)]
pub(crate) struct PointSearch {
    choice: PointChoice,
    database: DatabaseAddress,
    lineages: Vec<(LineageAddress, LineageListing)>,
    /// The file that the database was.
    pub(crate) former: FormerFile,
    /// Why the first point was refused.
    refused: Option<(FoundPoint, Error)>,
    /// Newer points that cannot be restored, newest first.
    pub(crate) skipped: Vec<SkippedPoint>,
    pub(crate) detour: Detour,
}

impl PointSearch {
    pub(crate) fn begin(
        opened: &OpenRepository<'_>,
        selection: &PointSelection,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let PointSelection { source, host, lineage, point } = selection;
        let database = database_meant(opened, source.as_deref(), host.as_deref())?;
        // What keeps every object from being read is no damage of one of them.
        opened.secrets()?;
        let mut lineages = listings(opened, &database)?;
        let former = former_file(opened, &database, &lineages)?;
        if let Some(wanted) = lineage {
            let ids = lineages.iter().map(|(lineage, _)| lineage.id());
            let id = lineage_meant(opened, ids, wanted)?;
            lineages.retain(|(lineage, _)| lineage.id() == id);
        }
        let mut search = Self {
            choice: *point,
            database,
            lineages,
            former,
            refused: None,
            skipped: Vec::new(),
            detour: Detour::default(),
        };
        search.pass_over_unreachable(opened, progress)?;
        Ok(search)
    }

    /// The point that is meant, or the next older one to which a way leads after it was refused.
    ///
    /// [`Error::NoPoint`] if there never was one, [`Error::PointUnrestorable`] if none is left.
    pub(crate) fn next(
        &mut self,
        opened: &OpenRepository<'_>,
        progress: &dyn Progress,
    ) -> Result<SelectedPoint> {
        while let Some((at, point)) = self.choose()? {
            let found = self.found(at, point);
            match self.select(opened, at, found.clone(), progress) {
                Ok(selected) => return Ok(selected),
                Err(error) if error.is_damage() => self.refuse(found, error, progress)?,
                Err(error) => return Err(error),
            }
        }
        Err(match self.refused.take() {
            Some((found, error)) => self.unrestorable(&found, error),
            None => self.no_point(opened),
        })
    }

    /// Passes a damaged point over; a transaction that the user named is not replaced by another.
    pub(crate) fn refuse(
        &mut self,
        found: FoundPoint,
        error: Error,
        progress: &dyn Progress,
    ) -> Result<()> {
        for (lineage, listing) in &mut self.lineages {
            self.detour.apply(listing);
            if lineage.id() == found.lineage {
                listing.files.retain(|file| file.name.max != found.point.txid);
            }
        }
        if matches!(self.choice, PointChoice::Txid(_)) {
            return Err(self.unrestorable(&found, error));
        }
        let skipped = SkippedPoint { found: found.clone(), reason: chain(&error) };
        progress.note(&Note::SkippedPoint { skipped: skipped.clone() });
        self.skipped.push(skipped);
        self.refused.get_or_insert((found, error));
        Ok(())
    }

    /// A file at or before the wanted time to which nothing leads: something before it is missing,
    /// and so is the point. An older one is no silent replacement.
    fn pass_over_unreachable(
        &mut self,
        opened: &OpenRepository<'_>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let chosen = self.choose()?;
        let Some((at, end)) = self.newest_unreachable() else { return Ok(()) };
        let is_newer = match self.choice {
            PointChoice::At(_) | PointChoice::Newest => {
                chosen.is_none_or(|(_, chosen)| chosen < end)
            }
            PointChoice::Txid(_) => chosen.is_none(),
        };
        if !is_newer {
            return Ok(());
        }
        let (lineage, listing) = &self.lineages[at];
        let no_way = listing.plan(lineage, end.txid).err();
        let error = no_way.map_or_else(|| self.no_point(opened), Error::from);
        self.refuse(self.found(at, end), error, progress)
    }

    /// The newest end of a file that fits the choice and that no way leads to.
    fn newest_unreachable(&self) -> Option<(usize, Point)> {
        let ends = self.lineages.iter().enumerate().filter_map(|(at, (_, listing))| {
            let mut fitting = listing.clone();
            fitting.files.retain(|file| match self.choice {
                PointChoice::At(time) => file.name.time <= time,
                PointChoice::Txid(txid) => file.name.max == txid,
                PointChoice::Newest => true,
            });
            let end = newest_end(&fitting)?;
            listing.plan(&self.lineages[at].0, end.txid).is_err().then_some((at, end))
        });
        ends.max_by_key(|(_, end)| *end)
    }

    /// The lineage and point that are meant, of what is left.
    fn choose(&self) -> Result<Option<(usize, Point)>> {
        let points = self.points();
        match self.choice {
            PointChoice::At(time) => Ok(newest_at(&points, time)),
            PointChoice::Newest => Ok(newest(&points)),
            PointChoice::Txid(txid) => match with_txid(&points, txid).as_slice() {
                [] => Ok(None),
                [one] => Ok(Some(*one)),
                several => Err(Error::Ambiguous {
                    wanted: format!("transaction {txid}"),
                    candidates: several.iter().map(|one| self.lineage_and_time(*one)).collect(),
                }),
            },
        }
    }

    fn lineage_and_time(&self, (at, point): (usize, Point)) -> String {
        format!("lineage {} ({})", self.lineages[at].0.id(), point.time)
    }

    /// Of each lineage, what a way leads to.
    fn points(&self) -> Vec<Vec<Point>> {
        self.lineages.iter().map(|(_, listing)| points_of(&listing.files)).collect()
    }

    fn select(
        &mut self,
        opened: &OpenRepository<'_>,
        at: usize,
        found: FoundPoint,
        progress: &dyn Progress,
    ) -> Result<SelectedPoint> {
        let (lineage, listing) = &self.lineages[at];
        let name = self.database.name().to_owned();
        let mut way = Way::to_point(name, lineage.clone(), listing.clone(), found.point.txid);
        vouch_for(opened, listing, &mut way)?;
        way.plan(&mut self.detour, progress)?;
        measure(opened, &mut way, &mut self.detour, progress)?;
        Ok(SelectedPoint { found, way })
    }

    fn found(&self, at: usize, point: Point) -> FoundPoint {
        FoundPoint {
            host: self.database.host().to_owned(),
            database: self.database.name().to_owned(),
            lineage: self.lineages[at].0.id(),
            point,
        }
    }

    /// With the newest point before it to which a way leads.
    fn unrestorable(&self, found: &FoundPoint, error: Error) -> Error {
        let of_lineage = self.lineages.iter().zip(self.points());
        let earlier = of_lineage
            .filter(|((lineage, _), _)| lineage.id() == found.lineage)
            .flat_map(|(_, points)| points)
            .filter(|point| point.txid < found.point.txid)
            .max_by_key(|point| point.txid);
        let (lineage, point) = (found.lineage, found.point);
        Error::PointUnrestorable { lineage, point, earlier, source: Box::new(error) }
    }

    fn no_point(&self, opened: &OpenRepository<'_>) -> Error {
        let all = || self.points().into_iter().flatten();
        let wanted = match self.choice {
            PointChoice::At(time) => format!("at or before {time} "),
            PointChoice::Txid(txid) => format!("{txid} "),
            PointChoice::Newest => String::new(),
        };
        Error::NoPoint {
            wanted: format!("{wanted}of database {}", self.database.name()),
            location: opened.repository().location(),
            between: all().min().zip(all().max()),
        }
    }
}
