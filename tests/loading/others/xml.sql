<?xml version="1.0"?>
<mysqldump xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<database name="shop">
	<table_data name="customers">
	<row>
		<field name="id">1</field>
		<field name="name">Ada; DROP TABLE customers;</field>
	</row>
	</table_data>
</database>
</mysqldump>
