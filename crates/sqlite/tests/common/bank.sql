-- A bank for storm.py: 300 accounts with 1000 each.
CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance INTEGER, pad TEXT);
CREATE TABLE filler(id INTEGER PRIMARY KEY, x);
CREATE TABLE clock(ticks);
CREATE INDEX by_balance ON accounts(balance, pad);
INSERT INTO clock VALUES (0);
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i<299)
INSERT INTO accounts SELECT i, 1000, hex(randomblob(100)) FROM n;
