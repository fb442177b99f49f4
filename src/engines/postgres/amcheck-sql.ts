/** Whether amcheck is in this db, and whether the user may call what pg_amcheck calls: a missing right reads like damage there. */
export const AMCHECK_INSTALLED = `EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'amcheck')`;
export const AMCHECK_OPEN = `NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
            JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'amcheck'
            JOIN pg_catalog.pg_proc p ON p.oid = d.objid
            WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e' AND p.pronargs > 1
              AND p.proname IN ('bt_index_check', 'verify_heapam')
              AND NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE'))`;
