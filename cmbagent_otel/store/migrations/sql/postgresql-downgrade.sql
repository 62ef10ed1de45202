-- Takes back what the upgrade has added, and nothing else.
-- Run by: psql -v ON_ERROR_STOP=1 -f postgresql-downgrade.sql
-- Not within a transaction; others may write. If it ends early, because it did not get a lock, run it again.

SET lock_timeout = '400ms';

CREATE TABLE IF NOT EXISTS cmbagent_otel_added (
  kind VARCHAR(20) NOT NULL,
  table_name VARCHAR(63) NOT NULL,
  name VARCHAR(63) NOT NULL,
  PRIMARY KEY (kind, table_name, name)
);

DO $$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT * FROM cmbagent_otel_added WHERE kind = 'view' ORDER BY table_name, name LOOP
    EXECUTE format('DROP VIEW IF EXISTS %I', one.name);
    COMMIT;
  END LOOP;
END $$;

DO $$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT * FROM cmbagent_otel_added WHERE kind = 'index' ORDER BY table_name, name LOOP
    EXECUTE format('DROP INDEX IF EXISTS %I', one.name);
    COMMIT;
  END LOOP;
END $$;

DO $$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT * FROM cmbagent_otel_added WHERE kind = 'column' ORDER BY table_name, name LOOP
    EXECUTE format('ALTER TABLE %I DROP COLUMN IF EXISTS %I', one.table_name, one.name);
    COMMIT;
  END LOOP;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'nullable' AND table_name = 'dag_nodes' AND name = 'depth') THEN
    LOOP
      UPDATE dag_nodes SET depth = 0
       WHERE id IN (SELECT id FROM dag_nodes WHERE depth IS NULL LIMIT 10000);
      EXIT WHEN NOT FOUND;
      COMMIT;
    END LOOP;
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'nullable' AND table_name = 'dag_nodes' AND name = 'depth') THEN
    ALTER TABLE dag_nodes DROP CONSTRAINT IF EXISTS cmbagent_otel_depth;
    ALTER TABLE dag_nodes ADD CONSTRAINT cmbagent_otel_depth CHECK (depth IS NOT NULL) NOT VALID;
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'nullable' AND table_name = 'dag_nodes' AND name = 'depth') THEN
    LOOP
      UPDATE dag_nodes SET depth = 0
       WHERE id IN (SELECT id FROM dag_nodes WHERE depth IS NULL LIMIT 10000);
      EXIT WHEN NOT FOUND;
      COMMIT;
    END LOOP;
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'nullable' AND table_name = 'dag_nodes' AND name = 'depth') THEN
    ALTER TABLE dag_nodes VALIDATE CONSTRAINT cmbagent_otel_depth;
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'nullable' AND table_name = 'dag_nodes' AND name = 'depth') THEN
    ALTER TABLE dag_nodes ALTER COLUMN depth SET NOT NULL;
    ALTER TABLE dag_nodes DROP CONSTRAINT cmbagent_otel_depth;
    DELETE FROM cmbagent_otel_added WHERE kind = 'nullable' AND table_name = 'dag_nodes' AND name = 'depth';
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'table' AND table_name = 'messages') THEN
    DROP TABLE IF EXISTS messages;
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'table' AND table_name = 'files') THEN
    DROP TABLE IF EXISTS files;
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'table' AND table_name = 'execution_events') THEN
    DROP TABLE IF EXISTS execution_events;
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'table' AND table_name = 'dag_edges') THEN
    DROP TABLE IF EXISTS dag_edges;
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'table' AND table_name = 'cost_records') THEN
    DROP TABLE IF EXISTS cost_records;
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'table' AND table_name = 'workflow_steps') THEN
    DROP TABLE IF EXISTS workflow_steps;
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'table' AND table_name = 'run_traces') THEN
    DROP TABLE IF EXISTS run_traces;
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'table' AND table_name = 'dag_nodes') THEN
    DROP TABLE IF EXISTS dag_nodes;
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'table' AND table_name = 'workflow_runs') THEN
    DROP TABLE IF EXISTS workflow_runs;
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'table' AND table_name = 'sessions') THEN
    DROP TABLE IF EXISTS sessions;
  END IF;
END $$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM cmbagent_otel_added WHERE kind = 'table' AND table_name = 'rejected_records') THEN
    DROP TABLE IF EXISTS rejected_records;
  END IF;
END $$;

DROP TABLE cmbagent_otel_added;

DROP TABLE IF EXISTS cmbagent_otel_version;
