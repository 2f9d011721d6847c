"""What a tenant's role tries: raw SQL, no guard in the way. Each is refused with the SQLSTATE beside it.

`{a.…}` are the names of the role's own database, `{b.…}` another tenant's; see test_isolation.py for the rest.
"""

PRIVILEGE = "42501"
NO_SUCH_OBJECT = "42704"
NO_SUCH_FUNCTION = "42883"
NOT_SUPPORTED = "0A000"
NOT_IN_STATE = "55000"
BAD_VALUE = "22023"

ANYWHERE = {
    "becoming somebody else": """
        SET ROLE {a.owner}
        SET ROLE {b.owner}
        SET ROLE {b.writer}
        SET ROLE {b.reader}
        SET ROLE agentdb_admin
        SET ROLE agentdb_control
        SET ROLE pg_read_all_data
        SET SESSION AUTHORIZATION {b.writer}
        SET SESSION AUTHORIZATION agentdb_admin
    """,
    "changing roles": """
        ALTER ROLE {b.writer} PASSWORD 'known'
        ALTER ROLE {b.writer} NOLOGIN
        ALTER ROLE {b.writer} SET search_path = evil
        ALTER ROLE {b.writer} RENAME TO mine
        ALTER ROLE agentdb_admin PASSWORD 'known'
        ALTER ROLE agentdb_control PASSWORD 'known'
        ALTER ROLE CURRENT_USER SUPERUSER
        ALTER ROLE CURRENT_USER CREATEDB
        ALTER ROLE CURRENT_USER CREATEROLE
        ALTER ROLE CURRENT_USER BYPASSRLS
        ALTER ROLE CURRENT_USER REPLICATION
        ALTER ROLE CURRENT_USER INHERIT
        ALTER ROLE CURRENT_USER CONNECTION LIMIT -1
        ALTER ROLE CURRENT_USER VALID UNTIL 'infinity'
        ALTER ROLE CURRENT_USER SET temp_file_limit = -1
        ALTER ROLE CURRENT_USER SET log_min_messages = log
        ALTER ROLE CURRENT_USER RESET log_min_messages
        ALTER ROLE ALL SET search_path = evil
        CREATE ROLE mine
        CREATE ROLE mine SUPERUSER
        CREATE USER mine PASSWORD 'known'
        DROP ROLE {b.writer}
        DROP OWNED BY {b.writer}
        REASSIGN OWNED BY {b.writer} TO CURRENT_USER
        COMMENT ON ROLE {b.writer} IS 'mine'
    """,
    "memberships and grants": """
        GRANT {b.writer} TO CURRENT_USER
        GRANT {a.owner} TO CURRENT_USER
        GRANT agentdb_admin TO CURRENT_USER
        GRANT pg_read_all_data TO CURRENT_USER
        GRANT pg_write_all_data TO CURRENT_USER
        GRANT pg_read_server_files TO CURRENT_USER
        GRANT pg_execute_server_program TO CURRENT_USER
        GRANT pg_signal_backend TO CURRENT_USER
        GRANT pg_monitor TO CURRENT_USER
        GRANT CONNECT ON DATABASE {b.database} TO CURRENT_USER
        GRANT SELECT ON pg_authid TO CURRENT_USER
        GRANT SET ON PARAMETER temp_file_limit TO CURRENT_USER
        ALTER DEFAULT PRIVILEGES FOR ROLE {b.writer} GRANT ALL ON TABLES TO PUBLIC
    """,
    "databases": """
        CREATE DATABASE mine
        CREATE DATABASE mine TEMPLATE {b.database}
        DROP DATABASE {b.database}
        DROP DATABASE {a.database}
        ALTER DATABASE {b.database} SET search_path = evil
        ALTER DATABASE {a.database} SET search_path = evil
        ALTER DATABASE {a.database} CONNECTION LIMIT -1
        ALTER DATABASE {a.database} IS_TEMPLATE true
        ALTER DATABASE {a.database} RENAME TO mine
        ALTER DATABASE {a.database} OWNER TO CURRENT_USER
        ALTER DATABASE template1 IS_TEMPLATE false
        ALTER DATABASE postgres ALLOW_CONNECTIONS false
        COMMENT ON DATABASE {b.database} IS 'mine'
        COMMENT ON DATABASE {a.database} IS 'mine'
        REINDEX SYSTEM {a.database}
        CREATE TEMP TABLE mine (i int)
    """,
    "names across databases": f"""
        {NOT_SUPPORTED} SELECT * FROM {{b.database}}.public.secret
        {NOT_SUPPORTED} INSERT INTO {{b.database}}.public.secret VALUES ('mine')
        {NOT_SUPPORTED} CREATE VIEW v AS SELECT * FROM {{b.database}}.public.secret
        {NO_SUCH_FUNCTION} SELECT dblink('dbname={{b.database}}', 'SELECT 1')
        SELECT * FROM pg_authid
        SELECT * FROM pg_shadow
        SELECT * FROM pg_user_mapping
        SELECT * FROM pg_statistic
        SELECT * FROM pg_largeobject
        SELECT * FROM pg_subscription
        SELECT * FROM pg_hba_file_rules
        SELECT * FROM pg_file_settings
    """,
    "catalogs written by hand": """
        UPDATE pg_database SET datallowconn = true
        UPDATE pg_class SET relowner = 10
        UPDATE pg_proc SET proowner = 10
        DELETE FROM pg_authid
        INSERT INTO pg_auth_members (roleid, member) VALUES (10, 10)
        ALTER TABLE pg_authid OWNER TO CURRENT_USER
        CREATE TABLE pg_catalog.mine (i int)
        CREATE FUNCTION pg_catalog.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'
        CREATE VIEW information_schema.mine AS SELECT 1
        42939 CREATE SCHEMA pg_mine
        CLUSTER pg_class
        BEGIN; LOCK TABLE pg_class
        BEGIN; LOCK TABLE pg_authid
    """,
    "the server's settings": """
        ALTER SYSTEM SET log_statement = 'all'
        ALTER SYSTEM RESET ALL
        SET log_statement = 'all'
        SET session_replication_role = replica
        SET temp_file_limit = -1
        SET log_min_messages = log
        SET session_preload_libraries = 'evil'
        SET dynamic_library_path = '/tmp'
        SET allow_system_table_mods = on
        SET track_activities = off
        SHOW hba_file
        SHOW data_directory
        SELECT current_setting('config_file')
        SELECT pg_reload_conf()
        SELECT pg_rotate_logfile()
        SELECT pg_current_logfile()
    """,
    "files of the host": """
        COPY (SELECT 1) TO '/tmp/agentdb-isolation'
        COPY (SELECT 1) TO PROGRAM 'cat'
        COPY notes FROM '/etc/passwd'
        COPY notes FROM PROGRAM 'id'
        SELECT pg_read_file('/etc/passwd')
        SELECT pg_read_file('PG_VERSION')
        SELECT pg_read_binary_file('PG_VERSION')
        SELECT pg_ls_dir('.')
        SELECT pg_ls_logdir()
        SELECT pg_ls_waldir()
        SELECT pg_ls_tmpdir()
        SELECT pg_stat_file('PG_VERSION')
        SELECT lo_import('/etc/passwd')
        SELECT lo_export(1, '/tmp/agentdb-isolation')
        LOAD '/tmp/evil.so'
        LOAD 'auto_explain'
        CREATE TABLESPACE mine LOCATION '/tmp'
        DROP TABLESPACE pg_default
    """,
    "programs": f"""
        CREATE EXTENSION dblink
        CREATE EXTENSION postgres_fdw
        CREATE EXTENSION file_fdw
        CREATE EXTENSION pageinspect
        CREATE EXTENSION pg_stat_statements
        CREATE FUNCTION mine() RETURNS int LANGUAGE c AS '/tmp/evil', 'evil'
        CREATE FUNCTION mine() RETURNS int LANGUAGE internal AS 'int4in'
        {NO_SUCH_OBJECT} CREATE FUNCTION mine() RETURNS int LANGUAGE plpython3u AS 'pass'
        {NO_SUCH_OBJECT} CREATE FUNCTION mine() RETURNS int LANGUAGE plperlu AS '1'
        CREATE LANGUAGE mine HANDLER plpgsql_call_handler
        CREATE ACCESS METHOD mine TYPE TABLE HANDLER heap_tableam_handler
        CREATE OPERATOR CLASS mine DEFAULT FOR TYPE int4 USING btree AS STORAGE int4
        CREATE CAST (text AS int) WITH INOUT AS IMPLICIT
        CREATE TEXT SEARCH TEMPLATE mine (LEXIZE = dsimple_lexize)
        {BAD_VALUE} CREATE TEXT SEARCH DICTIONARY mine (TEMPLATE = ispell, DictFile = '../../etc/passwd')
        CREATE FOREIGN DATA WRAPPER mine
        {NO_SUCH_OBJECT} CREATE SERVER mine FOREIGN DATA WRAPPER postgres_fdw
        DO LANGUAGE plpgsql $$ BEGIN EXECUTE 'ALTER ROLE CURRENT_USER SUPERUSER'; END $$
    """,
    "replication": """
        CREATE SUBSCRIPTION mine CONNECTION 'host=127.0.0.1 dbname={b.database}' PUBLICATION p
        CREATE PUBLICATION mine FOR ALL TABLES
        SELECT pg_create_physical_replication_slot('mine')
        SELECT pg_create_logical_replication_slot('mine', 'pgoutput')
        SELECT pg_drop_replication_slot('mine')
        SELECT pg_replication_origin_create('mine')
        SELECT pg_backup_start('mine')
        SELECT pg_switch_wal()
        SELECT pg_promote()
        SELECT pg_create_restore_point('mine')
        CHECKPOINT
    """,
    "other sessions": """
        SELECT pg_terminate_backend({b_pid})
        SELECT pg_cancel_backend({b_pid})
        SELECT pg_terminate_backend({admin_pid})
        SELECT pg_cancel_backend({admin_pid})
        SELECT pg_stat_reset()
        SELECT pg_stat_reset_shared('bgwriter')
        SELECT pg_log_backend_memory_contexts({b_pid})
    """,
    "event triggers": """
        CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION suppress_redundant_updates_trigger()
    """,
}
"""Refused on every server, however weak the administrator's role."""

HARDENED = {
    "shared catalogs": """
        SELECT datname FROM pg_database
        SELECT * FROM pg_roles
        SELECT * FROM pg_user
        SELECT * FROM pg_group
        SELECT * FROM pg_auth_members
        SELECT * FROM pg_db_role_setting
        SELECT * FROM pg_shdepend
        SELECT * FROM pg_shdescription
        SELECT * FROM pg_tablespace
        SELECT * FROM pg_replication_origin
        SELECT * FROM pg_parameter_acl
        SELECT pg_describe_object(1262, {b_oid}, 0)
        SELECT pg_identify_object(1262, {b_oid}, 0)
        BEGIN; LOCK TABLE pg_database
    """,
    "the server's activity": """
        SELECT * FROM pg_stat_activity
        SELECT * FROM pg_stat_database
        SELECT * FROM pg_stat_replication
        SELECT * FROM pg_stat_ssl
        SELECT * FROM pg_stat_progress_vacuum
        SELECT * FROM pg_stat_bgwriter
        SELECT * FROM pg_stat_wal
        SELECT * FROM pg_locks
        SELECT * FROM pg_prepared_xacts
        SELECT * FROM pg_replication_slots
        SELECT pg_stat_get_activity(NULL)
        SELECT pg_stat_get_backend_pid(1)
        SELECT pg_stat_get_backend_activity(1)
        SELECT pg_stat_get_db_numbackends({b_oid})
        SELECT pg_lock_status()
        SELECT pg_blocking_pids({b_pid})
        SELECT pg_postmaster_start_time()
        SELECT pg_control_system()
        SELECT inet_server_port()
    """,
    "sizes and places": """
        SELECT pg_database_size('{b.database}')
        SELECT pg_database_size('postgres')
        SELECT pg_tablespace_size('pg_default')
        SELECT pg_tablespace_databases(1663)
        SELECT pg_relation_filepath('pg_class')
    """,
    "settings through a table": """
        SELECT * FROM pg_settings
        UPDATE pg_settings SET setting = '1GB' WHERE name = 'work_mem'
        SELECT pg_show_all_settings()
    """,
    "large objects": """
        SELECT lo_create(0)
        SELECT lo_creat(-1)
        SELECT lo_from_bytea(0, 'x')
        SELECT lo_open(1, 131072)
        SELECT lo_get(1)
        SELECT lo_put(1, 0, 'x')
        SELECT lo_unlink(1)
        SELECT lo_truncate(0, 0)
        SELECT loread(0, 10)
        SELECT lowrite(0, 'x')
    """,
    "channels beside the tables": """
        SELECT pg_logical_emit_message(false, 'x', 'y')
        SELECT pg_notify('x', 'y')
        SELECT pg_advisory_lock(1)
        SELECT pg_advisory_xact_lock(1)
        SELECT pg_try_advisory_lock(1)
        SELECT pg_advisory_unlock_all()
        SELECT pg_export_snapshot()
    """,
    "SQL hidden in a value": """
        SELECT query_to_xml('SELECT 1', true, true, '')
        SELECT table_to_xml('pg_class', true, true, '')
        SELECT schema_to_xml('public', true, true, '')
        SELECT database_to_xml(true, true, '')
        SELECT ts_stat('SELECT 1')
    """,
    "two-phase commit": f"""
        {NOT_IN_STATE} BEGIN; PREPARE TRANSACTION 'mine'
    """,
    "extensions": """
        CREATE EXTENSION tablefunc
        CREATE EXTENSION IF NOT EXISTS tablefunc SCHEMA public
        CREATE EXTENSION lo
        ALTER EXTENSION citext SET SCHEMA public
        ALTER EXTENSION citext UPDATE
        DROP EXTENSION citext
        CREATE TABLE extensions.mine (i int)
        DROP SCHEMA extensions CASCADE
    """,
    "the hardening itself": """
        DROP EVENT TRIGGER refuse_new_extension
        ALTER EVENT TRIGGER refuse_new_extension DISABLE
        DROP FUNCTION extensions.refuse_new_extension() CASCADE
        CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION extensions.refuse_new_extension()
        GRANT EXECUTE ON FUNCTION lo_creat(int) TO PUBLIC
        ALTER DATABASE {template} ALLOW_CONNECTIONS true
        DROP DATABASE {template}
        ALTER SCHEMA public OWNER TO CURRENT_USER
        DROP SCHEMA public CASCADE
        DROP FUNCTION information_schema._pg_char_octet_length(oid, int)
    """,
}
"""Refused where the administrator is a superuser and could close it."""

READER_WRITES = {
    "statements": """
        INSERT INTO notes VALUES ('mine')
        UPDATE notes SET text = 'mine'
        DELETE FROM notes
        TRUNCATE notes
        MERGE INTO notes USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE
        WITH gone AS (DELETE FROM notes RETURNING *) SELECT * FROM gone
        SELECT * FROM notes FOR UPDATE
        SELECT * FROM notes FOR SHARE
        COPY notes FROM PROGRAM 'true'
        BEGIN; LOCK TABLE notes IN ROW EXCLUSIVE MODE
        BEGIN; LOCK TABLE notes IN ACCESS EXCLUSIVE MODE
        REFRESH MATERIALIZED VIEW old_notes
        INSERT INTO notes_view VALUES ('mine')
    """,
    "writing by reading": """
        EXPLAIN ANALYZE INSERT INTO notes VALUES ('mine')
        EXPLAIN ANALYZE CREATE TABLE mine AS SELECT 1
        EXPLAIN ANALYZE CREATE MATERIALIZED VIEW mine AS SELECT 1
        SELECT 1 AS i INTO mine
        SELECT nextval('counter')
        SELECT setval('counter', 1)
        SELECT write_a_note()
        CALL write_two_notes()
        DO $$ BEGIN INSERT INTO notes VALUES ('mine'); END $$
        PREPARE p AS INSERT INTO notes VALUES ('mine'); EXECUTE p
        SET TRANSACTION READ WRITE; INSERT INTO notes VALUES ('mine')
        BEGIN; SET TRANSACTION READ WRITE; DELETE FROM notes
    """,
    "definitions": """
        CREATE TABLE mine (i int)
        CREATE TEMP TABLE mine (i int)
        CREATE TABLE mine AS SELECT 1 AS one
        CREATE VIEW mine AS SELECT 1
        CREATE SCHEMA mine
        CREATE SEQUENCE mine
        CREATE TYPE mine AS ENUM ('x')
        CREATE DOMAIN mine AS int
        CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'
        CREATE INDEX ON notes (text)
        CREATE TRIGGER mine BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()
        CREATE RULE mine AS ON INSERT TO notes DO INSTEAD NOTHING
        CREATE POLICY mine ON notes USING (true)
        CREATE STATISTICS mine ON text, length FROM measured
        CREATE PUBLICATION mine
        CREATE COLLATION mine FROM "C"
        ALTER TABLE notes ADD COLUMN mine int
        ALTER TABLE notes RENAME TO mine
        ALTER TABLE notes OWNER TO CURRENT_USER
        ALTER TABLE notes DISABLE TRIGGER ALL
        ALTER SEQUENCE counter RESTART
        ALTER DEFAULT PRIVILEGES FOR ROLE {a.writer} GRANT ALL ON TABLES TO PUBLIC
        DROP TABLE notes
        DROP SCHEMA public
        COMMENT ON TABLE notes IS 'mine'
        GRANT INSERT ON notes TO CURRENT_USER; INSERT INTO notes VALUES ('mine')
        REINDEX TABLE notes
        CLUSTER notes USING notes_text
        SET ROLE {a.writer}
        SET SESSION AUTHORIZATION {a.writer}
        ALTER ROLE {a.writer} PASSWORD 'known'
        GRANT {a.writer} TO CURRENT_USER
        SELECT lo_import('/etc/passwd')
        SELECT pg_terminate_backend({writer_pid})
    """,
}
"""Every way of GUARD to write as the reader, which first lifts its read-only default."""


def flatten(groups: dict[str, str]) -> list[tuple[str, str]]:
    """(SQLSTATE, statement) of every line; without a state in front, a lack of privilege is expected."""
    cases: list[tuple[str, str]] = []
    for group in groups.values():
        for line in filter(None, map(str.strip, group.splitlines())):
            state, _, rest = line.partition(" ")
            given = len(state) == 5 and state.isalnum() and any(map(str.isdigit, state))
            cases.append((state, rest) if given else (PRIVILEGE, line))
    return cases
